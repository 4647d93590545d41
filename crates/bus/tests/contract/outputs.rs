//! What a message causes is published if and only if the message was still open.

use anyhow::Result;
use bus::{Bus, MessageId, Once, OnceRule, Output, Settlement};
use common::topics::TopicInfo;
use common::{RawFields, Topic};

use crate::Bench;
use crate::notes::{Note, Notes, notes};
use crate::readers::{LONG, Reader, done, options};

on_every_back_end! {
    outputs_of_an_open_message_are_published_and_repeats_publish_nothing,
    a_message_that_somebody_else_finished_publishes_nothing,
    a_claimed_output_is_published_once_for_all_causes,
    an_output_against_others_is_published_when_the_claimant_changes,
    a_closed_message_does_not_use_up_its_claim,
    a_message_may_cause_many_outputs_on_many_topics,
}

struct Results;

impl Topic for Results {
    type Message = Note;
    const INFO: TopicInfo = TopicInfo {
        name: "test.results",
        groups: &[],
        retained: 10_000,
        key: "number",
        home: common::topics::Home::Bus,
    };
}

fn output(cause: MessageId, number: u32, once: Option<Once>) -> Output {
    Output {
        cause,
        topic: Results::INFO.name,
        fields: notes([number])
            .iter()
            .map(RawFields::of)
            .next()
            .unwrap_or_default(),
        once,
    }
}

fn once(claimant: &'static str, rule: OnceRule) -> Once {
    Once {
        key: "test:once:result".to_owned(),
        claimant,
        window: LONG,
        rule,
    }
}

fn settlement(outputs: Vec<Output>) -> Settlement {
    let mut causes: Vec<MessageId> = outputs.iter().map(|output| output.cause).collect();
    causes.dedup();
    Settlement {
        outputs,
        ..done(causes)
    }
}

async fn results(bus: &Bus) -> Result<Vec<RawFields>> {
    let all = bus
        .range(Results::INFO.name, MessageId::ZERO, 2_000)
        .await?;
    Ok(all.into_iter().map(|message| message.fields).collect())
}

fn fields(numbers: impl IntoIterator<Item = u32>) -> Vec<RawFields> {
    notes(numbers).iter().map(RawFields::of).collect()
}

async fn outputs_of_an_open_message_are_published_and_repeats_publish_nothing(
    bench: Bench,
) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..600)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(600).await?;
    let outputs = held.ids().into_iter().zip(0..);
    let all = settlement(
        outputs
            .map(|(id, number)| output(id, number, None))
            .collect(),
    );
    for counted in [600, 0] {
        let settled = reader.consumer.settle(&all).await?;
        assert_eq!((settled.done, settled.published), (counted, counted));
    }
    assert_eq!(results(&bench.bus).await?, fields(0..600));
    Ok(())
}

async fn a_message_that_somebody_else_finished_publishes_nothing(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(3).await?;
    let middle = held.ids().into_iter().skip(1).take(1);
    reader.consumer.settle(&done(middle)).await?;

    let outputs = held.ids().into_iter().zip(0..);
    let all = settlement(
        outputs
            .map(|(id, number)| output(id, number, None))
            .collect(),
    );
    let settled = reader.consumer.settle(&all).await?;
    assert_eq!((settled.done, settled.published), (2, 2));
    assert_eq!(results(&bench.bus).await?, fields([0, 2]));
    Ok(())
}

async fn a_claimed_output_is_published_once_for_all_causes(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..3)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(3).await?;
    let outputs = held.ids().into_iter().zip(0..);
    let claim = || Some(once("tester", OnceRule::Unclaimed));
    let all = settlement(
        outputs
            .map(|(id, number)| output(id, number, claim()))
            .collect(),
    );
    let settled = reader.consumer.settle(&all).await?;
    assert_eq!((settled.done, settled.published), (3, 1));
    assert_eq!(results(&bench.bus).await?, fields([0]));
    Ok(())
}

async fn an_output_against_others_is_published_when_the_claimant_changes(
    bench: Bench,
) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..4)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(4).await?;
    let claimants = ["red", "red", "red and blue", "red"];
    let outputs = held.ids().into_iter().zip(claimants).zip(0..);
    let outputs = outputs.map(|((id, claimant), number)| {
        output(id, number, Some(once(claimant, OnceRule::OtherClaimant)))
    });
    let settled = reader
        .consumer
        .settle(&settlement(outputs.collect()))
        .await?;
    assert_eq!((settled.done, settled.published), (4, 3));
    assert_eq!(results(&bench.bus).await?, fields([0, 2, 3]));
    Ok(())
}

async fn a_closed_message_does_not_use_up_its_claim(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..1)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let (message, _held) = reader.take_one().await?;
    reader.consumer.settle(&done([message.id])).await?;
    let claim = once("tester", OnceRule::Unclaimed);
    let late = settlement(vec![output(message.id, 0, Some(claim.clone()))]);
    assert_eq!(reader.consumer.settle(&late).await?.published, 0);

    let ids = bench
        .bus
        .publish_once::<Results>(&notes(7..8), &[claim])
        .await?;
    assert!(ids.iter().all(Option::is_some));
    Ok(())
}

async fn a_message_may_cause_many_outputs_on_many_topics(bench: Bench) -> Result<()> {
    bench.bus.publish::<Notes>(&notes(0..2)).await?;
    let mut reader = Reader::join::<Notes>(&bench.bus, options());
    let held = reader.take(2).await?;
    let mut outputs: Vec<Output> = Vec::new();
    for id in held.ids() {
        outputs.extend((0..20).map(|number| output(id, number, None)));
        outputs.push(Output {
            topic: "test.others",
            ..output(id, 99, None)
        });
    }
    let settled = reader.consumer.settle(&settlement(outputs)).await?;
    assert_eq!((settled.done, settled.published), (2, 42));
    assert_eq!(results(&bench.bus).await?, fields((0..20).chain(0..20)));
    let others = bench.bus.range("test.others", MessageId::ZERO, 10).await?;
    assert_eq!(others.len(), 2);
    Ok(())
}
