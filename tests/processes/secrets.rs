//! Passwords, keys and tokens are never printed.

use anyhow::Result;
use testkit::servers::free_address;

use crate::running::{Running, SOON, WORKERS};

const SECRET: &str = "hunter2";

#[test]
fn a_bad_url_is_refused_without_its_password() -> Result<()> {
    for worker in WORKERS {
        for (variable, url) in [
            ("REDIS_URL", "http://user:hunter2@host"),
            ("REDIS_URL", "redis://user:hunter2@host:port"),
            ("REDIS_STREAMS_URL", "redis://user:hunter2@host/database"),
            ("REDIS_VIEWS_URL", "hunter2"),
            ("DATABASE_URL", "mysql://user:hunter2@host/x"),
            ("DATABASE_URL", "postgres://user:hunter2@host:port/x"),
            (
                "DATABASE_URL",
                "postgres://host/x?password=hunter2&sslmode=never",
            ),
            ("DATABASE_URL", "hunter2"),
        ] {
            let mut running = Running::start(worker, &[], &[(variable, url)])?;
            assert_eq!(running.exit_code()?, Some(64), "{url}");
            let output = running.process.log();
            assert!(output.contains(variable), "{url}: {output}");
            assert!(!output.contains(SECRET), "{url}: {output}");
        }
    }
    Ok(())
}

#[test]
fn the_logs_of_a_worker_that_cannot_connect_do_not_have_its_passwords() -> Result<()> {
    let nobody = free_address()?;
    let redis = format!("redis://user:{SECRET}@{nobody}");
    let sql = format!("postgres://user:{SECRET}@{nobody}/x");
    for worker in WORKERS {
        let mut running = Running::start(
            worker,
            &[],
            &[
                ("REDIS_URL", &redis),
                ("DATABASE_URL", &sql),
                ("INGESTION_API_KEYS", SECRET),
                ("ADMIN_TOKEN", SECRET),
                ("LOG", "trace"),
            ],
        )?;
        let why = running.waits_for("redis")?;
        assert!(!why.contains(SECRET), "{why}");
        running.process.terminate(SOON)?;
        let output = running.process.log();
        assert!(output.contains("waiting for redis"), "{output}");
        assert!(!output.contains(SECRET), "{output}");
    }
    Ok(())
}

#[test]
fn help_does_not_show_the_secrets_of_the_environment() -> Result<()> {
    for worker in WORKERS {
        let secrets = [
            ("REDIS_URL", "redis://user:hunter2@host"),
            ("REDIS_STREAMS_URL", "redis://user:hunter2@host"),
            ("REDIS_FEEDBACK_URL", "redis://user:hunter2@host"),
            ("REDIS_VIEWS_URL", "redis://user:hunter2@host"),
            ("REDIS_PASSWORD", SECRET),
            ("DATABASE_URL", "postgres://user:hunter2@host/x"),
            ("MONGODB_URI", "mongodb://user:hunter2@host/x"),
            ("INGESTION_API_KEYS", SECRET),
            ("ADMIN_TOKEN", SECRET),
        ];
        let mut running = Running::start(worker, &["--help"], &secrets)?;
        assert_eq!(running.exit_code()?, Some(0));
        let help = running.process.log();
        assert!(
            help.contains("REDIS_PASSWORD") && !help.contains(SECRET),
            "{help}"
        );
    }
    Ok(())
}
