//! Late letters that are too large for one script call, or cannot be written.

use std::iter::repeat_n;

use anyhow::Result;
use bus::{DeadLetter, LateLetter, MessageId};
use common::{FieldSink as _, RawFields, Topic as _, UnixMillis};

use crate::bench::Bench;
use crate::notes::{Notes, READERS};
use crate::readers::assert_balanced;

fn late(fields: usize) -> LateLetter {
    let mut message = RawFields::default();
    for name in repeat_n("name", fields) {
        message.field(name, "value");
    }
    LateLetter {
        fields: message,
        group: READERS,
        id: "5-1".to_owned(),
        attempts: 1,
        reason: "unreadable_item".to_owned(),
        error: "not an item".to_owned(),
        first_failed_at: UnixMillis(0),
        worker: "host-1".to_owned(),
        once: "test:late:5-1".to_owned(),
    }
}

/// Lua passes on fewer than 8,000 values. Remedy: several letters, which are counted as such.
#[tokio::test]
async fn a_late_letter_of_absurdly_many_fields_becomes_parts_that_are_accounted_for() -> Result<()>
{
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    bus.open_groups(&[Notes::INFO]).await?;
    for written in [1, 0] {
        let all = [late(8_000)];
        assert_eq!(bus.give_up_late(&Notes::INFO, &all).await?, written);
    }
    let letters = bus.dead_letters(&Notes::INFO, MessageId::ZERO, 10).await?;
    let parts: Vec<Option<&str>> = letters.iter().map(|l| l.part.as_deref()).collect();
    assert_eq!(parts, [Some("1/3"), Some("2/3"), Some("3/3")]);
    let fields = |letter: &DeadLetter| letter.fields.0.len();
    assert_eq!(letters.iter().map(fields).sum::<usize>(), 8_000);
    assert_balanced(bus, &Notes::INFO).await
}

/// A script that fails is not undone. Remedy: it asks whether letters can be written before it claims.
#[tokio::test]
async fn a_late_letter_that_cannot_be_written_does_not_use_up_its_claim() -> Result<()> {
    let Some(bench) = Bench::start()? else {
        return Ok(());
    };
    let bus = &bench.bus;
    let stream = Notes::INFO.dead_letters();
    bench.cli(&["SET", &stream, "occupied"])?;
    let refused = bus.give_up_late(&Notes::INFO, &[late(1)]).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("WRONGTYPE")));
    bench.cli(&["DEL", &stream])?;
    assert_eq!(bus.give_up_late(&Notes::INFO, &[late(1)]).await?, 1);
    Ok(())
}
