//! `cargo dev lab`: runs the long and demanding tests, each with one command.

#![forbid(unsafe_code)]

use std::process::{Command, ExitCode};
use std::{env, fs, io, io::Write};

use anyhow::{Context, Result, bail, ensure};
use dev::{cargo, command, project};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let Some((&name, arguments)) = words.split_first() else { return list() };
    env::set_current_dir(project()?)?;
    match name {
        "faults" => {
            succeed(cargo().arg("build"))?;
            test(&["--test", "faults"], arguments)
        }
        "counts" => test(&["--test", "counts"], arguments),
        "documents" => {
            test(&["--test", "documents"], arguments)?;
            ["tour", "add_a_page", "merge_a_fix"]
                .iter()
                .try_for_each(|name| succeed(&mut command(format!("lab/documents/{name}.sh"))))
        }
        "chaos" => test(&["--test", "chaos"], arguments),
        "stores" => test(
            &["--test", "stores"],
            &[&["--skip", "pooler::", "--skip", "partitions::"], arguments].concat(),
        ),
        "pooler" => test(&["--test", "stores"], &[&["pooler::"], arguments].concat()),
        "partitions" => test(&["--test", "stores"], &[&["partitions::"], arguments].concat()),
        "failover" => succeed(command("lab/failover/failover.sh").args(arguments)),
        "proxies" => succeed(command("lab/proxies/proxies.sh").args(arguments)),
        "compose" => succeed(command("lab/compose.sh").args(arguments)),
        "bench" => {
            succeed(cargo().args(["run", "--quiet", "--release", "--package", "bench", "--"]).args(arguments))
        }
        "fuzz" => fuzz(arguments),
        _ => bail!("there is no {name}; `cargo dev lab` lists all parts"),
    }
}

/// Prints the README's table, without the requirements of each part.
fn list() -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "cargo dev lab NAME [arguments]\n")?;
    for line in include_str!("../README.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        writeln!(out, "  {:10} {:>2} min   {}", cells[1].trim_matches('`'), cells[3], cells[2])?;
    }
    writeln!(out, "\nlab/README.md says what each needs, and which arguments it takes.")?;
    Ok(())
}

/// Runs tests of the lab. Passes on arguments, such as `--ignored` or part of a name.
fn test(targets: &[&str], arguments: &[&str]) -> Result<()> {
    // With --package, Cargo would build the dependencies again, with fewer features.
    succeed(cargo().args(["test", "--workspace"]).args(targets).arg("--").args(arguments))
}

/// Runs cargo-fuzz, which needs the nightly compiler. The arguments are a target and libFuzzer's options.
fn fuzz(arguments: &[&str]) -> Result<()> {
    let Some((&target, options)) = arguments.split_first() else {
        bail!("name a target: request or cookies");
    };
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(format!("lab/{corpus}")).context("can't create the corpus directory")?;
    // Doesn't use this program's Cargo, because only rustup's `cargo` understands `+nightly`.
    let mut fuzz = command("cargo");
    fuzz.current_dir("lab").args(["+nightly", "fuzz", "run", target, &corpus]);
    let seeds = format!("fuzz/seeds/{target}");
    if fs::exists(format!("lab/{seeds}"))? {
        fuzz.arg(seeds);
    }
    succeed(fuzz.args(["--", "-dict=fuzz/http.dict"]).args(options))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("can't run {:?}", command.get_program()))?;
    ensure!(status.success(), "{:?} failed with {status}", command.get_program());
    Ok(())
}
