//! A PostgreSQL that dies or hangs.

use anyhow::{Result, bail};
use tests::SqlServer;

use super::Fault;
use crate::mill::Mill;
use crate::round::{Round, last};

pub(crate) fn all<M: Mill>() -> Vec<Fault<M>> {
    vec![
        Fault::new("postgres: kill -9 and restart, twice", restart).small_on_postgres(),
        Fault::new("postgres: hangs (SIGSTOP)", hang),
    ]
}

fn restart<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    for percent in [20, 60] {
        round.send_part(percent)?;
        round.mill.sql().restart()?;
    }
    Ok(())
}

fn hang<M: Mill>(round: &mut Round<'_, M>) -> Result<()> {
    round.send_part(20)?;
    let SqlServer::Postgres(server) = round.mill.sql() else {
        bail!("this database has no server");
    };
    server.pause()?;
    last(round.scale.outage());
    server.resume()
}
