//! What Millrace costs, beside the bare limit of the same machine in the same run: `make bench`.

mod bare_loop;
mod consume;
mod events;
mod http;
mod latency;
mod measure;
mod process;
mod publish;
mod redis_server;

use anyhow::Result;

use crate::measure::{Spread, Turns};
use crate::redis_server::{Persistence, Redis};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == http::bare::ARGUMENT) {
        return http::bare::serve(args[2].parse()?, &args[3]).await;
    }
    let only = args
        .iter()
        .skip(1)
        .find(|a| !a.starts_with('-'))
        .cloned()
        .unwrap_or_default();
    let want = |name: &str| only.is_empty() || only == name;
    for persistence in Persistence::ALL {
        let redis = Redis::start(persistence)?;
        if want("publish") {
            show("publish", persistence, &publish::publish(&redis, 3).await?);
        }
        if want("consume") {
            show("consume", persistence, &consume::consume(&redis, 3).await?);
        }
        if want("latency") {
            for (b, o) in latency::latency(&redis, 3).await? {
                println!("latency {} bare {b:?} ours {o:?}", persistence.name());
            }
        }
        if want("single") {
            show(
                "single",
                persistence,
                &http::front_door(&redis, http::Load::SINGLES, 3).await?,
            );
        }
        if want("batch") {
            show(
                "batch",
                persistence,
                &http::front_door(&redis, http::Load::BATCHES, 3).await?,
            );
        }
    }
    Ok(())
}

fn show(name: &str, persistence: Persistence, turns: &Turns) {
    let limit = Spread::of(turns.limit.iter().map(|s| s.rate));
    let ours = Spread::of(turns.ours.iter().map(|s| s.rate));
    println!(
        "{name} {} limit {:.0} ours {:.0} ratio {:.2?}",
        persistence.name(),
        limit.median,
        ours.median,
        turns.ratio()
    );
    for s in &turns.limit {
        println!("  limit {s:.2?}");
    }
    for s in &turns.ours {
        println!("  ours  {s:.2?}");
    }
}
