//! Programs that stop with this process.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// A program that stops when this value is dropped, or when this process exits for any reason, including SIGKILL.
///
/// A small shell script then sends the program and its children a signal, and SIGKILL 30 seconds later.
/// Ctrl-C in the terminal doesn't reach them, so the owner decides the order in which programs stop.
#[derive(Debug)]
pub struct Kept {
    /// Closing this pipe stops the program.
    pipe: Option<ChildStdin>,
    script: Child,
}

impl Kept {
    /// Starts the program with its arguments, environment and directory. Its standard input is empty, and its
    /// standard output goes to `output`. `signal`, such as `INT`, is sent to stop it.
    pub fn spawn(program: &Command, signal: &str, output: Stdio) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", include_str!("kept.sh"), "kept", signal]);
        shell.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = program.get_current_dir() {
            shell.current_dir(directory);
        }
        shell.stdin(Stdio::piped()).stdout(output).process_group(0);
        let mut script = shell.spawn().context("can't start /bin/sh")?;
        Ok(Kept { pipe: script.stdin.take(), script })
    }

    /// The process ID of the script. The program is one of its children.
    pub fn pid(&self) -> u32 {
        self.script.id()
    }

    /// Returns the program's exit status, or `None` while it runs.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.script.try_wait()?)
    }

    /// Stops the program and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        drop(self.pipe.take());
        Ok(self.script.wait()?)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
