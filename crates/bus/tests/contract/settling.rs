//! What is settled stays settled, and counts once.

use anyhow::Result;
use bus::{Settled, Settlement};
use common::Topic as _;

use crate::Bench;
use crate::notes::{Notes, notes};
use crate::readers::{Reader, assert_conserved, done, failed, group, options, short_lease};

on_every_back_end! {
    a_finished_message_is_never_delivered_again,
    settling_twice_counts_once,
    a_message_finished_by_whoever_does_not_hold_it_counts_once,
    an_empty_settlement_settles_nothing,
    every_message_of_a_settlement_gets_its_own_outcome,
}

async fn a_finished_message_is_never_delivered_again(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut first = Reader::join::<Notes>(&bench.bus, short_lease());
    assert_eq!(first.finish(3).await?, [0, 1, 2]);
    first.die().await;

    // A message that nobody settled becomes due after the finished ones would have.
    bench.bus.publish::<Notes>(&notes(3..4)).await?;
    let mut second = Reader::join::<Notes>(&bench.bus, short_lease());
    assert_eq!(second.take(1).await?.numbers()?, [3]);
    second.die().await;
    let mut third = Reader::join::<Notes>(&bench.bus, short_lease());
    assert_eq!(third.finish(1).await?, [3]);

    let group = group(&bench.bus, &Notes::INFO).await?;
    assert_eq!((group.done, group.pending), (4, 0));
    Ok(())
}

async fn settling_twice_counts_once(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(3).await?;
    for counted in [3, 0] {
        let settled = reader.consumer.settle(&done(held.ids())).await?;
        let expected = Settled {
            done: counted,
            ..Settled::default()
        };
        assert_eq!(settled, expected);
    }
    assert_eq!(group(&bench.bus, &Notes::INFO).await?.done, 3);
    Ok(())
}

async fn a_message_finished_by_whoever_does_not_hold_it_counts_once(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut holder = Reader::join::<Notes>(&bench.bus, options());
    let held = holder.take(1).await?;
    let other = Reader::join::<Notes>(&bench.bus, options());
    // Where partitions belong to members, nobody else can settle what is in them.
    let by_other = other.consumer.settle(&done(held.ids())).await?.done;
    let by_holder = holder.consumer.settle(&done(held.ids())).await?.done;
    assert_eq!(by_other + by_holder, 1);
    assert_eq!(
        holder.consumer.settle(&failed(held.ids())).await?.retried,
        0
    );
    assert_conserved(&bench.bus, &Notes::INFO).await
}

async fn an_empty_settlement_settles_nothing(bench: Bench) -> Result<()> {
    let reader = Reader::join::<Notes>(&bench.bus, options());
    let settled = reader.consumer.settle(&Settlement::default()).await?;
    assert_eq!(settled, Settled::default());
    Ok(())
}

async fn every_message_of_a_settlement_gets_its_own_outcome(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..6)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(6).await?;
    let ids = held.ids();
    let mut ids = ids.chunks(2).map(<[_]>::to_vec);
    let mut next = || ids.next().unwrap_or_default();
    let settlement = Settlement {
        done: next(),
        retry: failed(next()).retry,
        dead: crate::readers::dead(next()).dead,
        outputs: Vec::new(),
    };
    let settled = reader.consumer.settle(&settlement).await?;
    let expected = Settled {
        done: 2,
        retried: 2,
        dead: 2,
        published: 0,
    };
    assert_eq!(settled, expected);
    assert_conserved(&bench.bus, &Notes::INFO).await
}
