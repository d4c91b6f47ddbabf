//! Starting programs that end with us.

use std::{
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};

/// A program that gets SIGTERM, and SIGKILL should it not heed that, when this is dropped or when
/// this process ends, in whatever way. So do the programs that it started in its process group.
///
/// It does not get the terminal's Ctrl-C, so that we choose the order in which things end.
#[derive(Debug)]
pub struct Kept {
    /// Its closing ends the program.
    pipe: Option<ChildStdin>,
    script: Child,
}

impl Kept {
    /// Starts the program with its arguments, environment and directory; its standard input is empty.
    ///
    /// # Errors
    /// Where there is no shell to keep it.
    pub fn spawn(program: &Command) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(include_str!("kept.sh"))
            .arg("kept")
            .arg(program.get_program())
            .args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = program.get_current_dir() {
            shell.current_dir(directory);
        }
        let mut script = shell
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {:?}", program.get_program()))?;
        Ok(Kept { pipe: script.stdin.take(), script })
    }

    /// The process id of the script that keeps the program, whose child the program is.
    pub fn pid(&self) -> u32 {
        self.script.id()
    }

    /// How the program ended, once it has.
    ///
    /// # Errors
    /// None that can be met: the script is our own child.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.script.try_wait()?)
    }

    /// Ends the program, and waits for that.
    ///
    /// # Errors
    /// None that can be met: the script is our own child.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        drop(self.pipe.take());
        Ok(self.script.wait()?)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = self.stop();
    }
}
