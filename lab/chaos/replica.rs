//! A replica of the app, in a process that can be killed. It also has routes that log in and rotate the key.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use actix_web::{HttpResponse, web::ServiceConfig};
use app::{Config, Dependencies, Pages, database, get, log, server, session::Session};
use dev::Kept;
use uuid::Uuid;

use crate::client::Visitor;

/// Runs a replica with the settings from the environment. To start one, the test runs its own program with the
/// argument `replica`.
pub fn serve() -> ExitCode {
    let config = Config::from_env().expect("settings");
    let _log = log::init(&config);
    actix_web::rt::System::new().block_on(async move {
        let dependencies = Dependencies::new(config.clone(), database::pool(&config));
        let readiness = dependencies.readiness.clone();
        let (server, _) =
            server::start(&dependencies, routes, std::future::pending()).expect("the port is free");
        actix_web::rt::spawn(async move {
            database::migrate_when_reachable(&config).await.expect("the schema matches");
            readiness.migrated.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        server.await.expect("it serves");
    });
    ExitCode::SUCCESS
}

fn routes(config: &mut ServiceConfig, pages: &Pages) {
    app::routes(config, pages);
    let log_in = async |session: Session| {
        let _ = session.log_in(Uuid::from_u128(7));
        HttpResponse::Ok().finish()
    };
    let rotate = async |session: Session| {
        session.rotate();
        HttpResponse::Ok().finish()
    };
    config.service(pages.page(get("/log-in", log_in)));
    config.service(pages.page(get("/rotate", rotate)));
}

pub struct Replica {
    pub address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    log: std::path::PathBuf,
    process: Option<Kept>,
}

impl Replica {
    /// Starts a replica with a URL for the app and a URL for migrations. Waits until it is ready.
    pub fn start(url: String, migration_url: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let log = env::temp_dir().join(format!("chaos-{}-{}.log", std::process::id(), address.port()));
        let settings = vec![
            ("DATABASE_URL", url),
            ("MIGRATION_DATABASE_URL", migration_url),
            ("BIND_ADDRESS", address.to_string()),
            ("SESSION_SECRET", "a secret of the chaos test and of nothing else".to_owned()),
            ("COOKIE_SECURE", "false".to_owned()),
            ("NEW_SESSIONS_PER_MINUTE", "0".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        let mut replica = Self { address, settings, log, process: None };
        drop(listener);
        replica.restart();
        let begin = Instant::now();
        while !replica.is_ready() {
            assert!(begin.elapsed() < Duration::from_secs(20), "not ready: {}", replica.last_words());
            thread::sleep(Duration::from_millis(50));
        }
        replica
    }

    pub fn is_ready(&self) -> bool {
        Visitor::new(self.address).try_get("/health/ready").is_ok_and(|answer| answer.status == 200)
    }

    /// Starts the replica again after a kill, without waiting until it is ready.
    pub fn restart(&mut self) {
        let program = env::current_exe().expect("this program");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" replica 2>>\"$1\""]).arg(program).arg(&self.log);
        command.current_dir(env::temp_dir()).envs(self.settings.iter().cloned());
        self.process = Some(Kept::spawn(&command, "KILL", Stdio::null()).expect("a process"));
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Returns the process ID of the program.
    pub fn pid(&self) -> Option<u32> {
        dev::process::children(self.process.as_ref()?.script.id()).first().copied()
    }

    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.log);
    }
}
