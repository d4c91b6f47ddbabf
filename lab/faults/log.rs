//! Runs the app while nothing reads its log, and while the log can't be written.

use std::io::{self, PipeReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::{fs::OpenOptions, time::Duration};

use tokio::sync::MutexGuard;

use crate::program::{NO_DATABASE, eventually, signal};
use crate::{client::Visitor, process::program, stage::TURN};

/// Each request writes at least one line of more than a hundred bytes, and a pipe holds 64 KiB.
const MORE_THAN_A_PIPE_HOLDS: usize = 1_000;

/// The program's own queue holds fewer lines than this.
const MORE_THAN_THE_QUEUE_HOLDS: usize = 25_000;

/// The program with redirected output.
struct Program {
    child: Child,
    address: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Program {
    fn start(output: impl Into<Stdio>, error: impl Into<Stdio>) -> Self {
        let turn = TURN.blocking_lock();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let child = Command::new(program())
            .env_clear()
            .env("DATABASE_URL", NO_DATABASE)
            .env("SESSION_SECRET", "a secret of the tests and of nothing else")
            .env("BIND_ADDRESS", address.to_string())
            .env("LOG_FORMAT", "json")
            .env("RUST_LOG", "debug")
            .current_dir(std::env::temp_dir())
            .stdout(output)
            .stderr(error)
            .spawn()
            .expect("the program");
        let program = Self { child, address, _turn: turn };
        let listens = || Visitor::new(address).try_get("/health/live").ok();
        eventually("it listens", Duration::from_secs(10), listens);
        program
    }

    /// Checks that each request gets a response. Some go to a page that fails and logs an error.
    fn assert_serves(&self, requests: usize) {
        let mut visitor = Visitor::new(self.address);
        for n in 0..requests {
            let (path, status) = if n % 100 == 0 { ("/", 503) } else { ("/health/live", 200) };
            let answer = visitor.get(path);
            assert_eq!(answer.status, status, "request {n}: {answer:#?}");
        }
    }

    fn assert_stops(mut self) {
        signal("TERM", &[self.child.id()]);
        let status =
            eventually("it stops", Duration::from_secs(10), || self.child.try_wait().expect("a child"));
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a pipe and its two writing ends, for standard output and standard error.
fn pipe() -> (PipeReader, io::PipeWriter, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    let output = writer.try_clone().expect("a file descriptor");
    (reader, output, writer)
}

#[test]
fn requests_and_shutdown_do_not_wait_if_nothing_reads_the_log() {
    let (_reader, output, error) = pipe();
    let program = Program::start(output, error);

    program.assert_serves(MORE_THAN_A_PIPE_HOLDS);

    program.assert_stops();
}

#[test]
fn shutdown_does_not_wait_if_the_log_queue_is_full() {
    let (_reader, output, error) = pipe();
    let program = Program::start(output, error);

    program.assert_serves(MORE_THAN_THE_QUEUE_HOLDS);

    program.assert_stops();
}

#[test]
fn requests_are_served_after_the_logs_reader_has_exited() {
    let (reader, output, error) = pipe();
    let program = Program::start(output, error);
    drop(reader);

    program.assert_serves(MORE_THAN_A_PIPE_HOLDS);

    program.assert_stops();
}

#[test]
fn requests_are_served_if_the_log_is_on_a_full_disk() {
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("Linux has this device");
    let program = Program::start(full(), full());

    program.assert_serves(MORE_THAN_A_PIPE_HOLDS);

    program.assert_stops();
}
