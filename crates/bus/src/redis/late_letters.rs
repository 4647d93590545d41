//! Letters of messages that were settled before, each in one step with its claim.

use common::topics::TopicInfo;
use redis_link::Link;

use super::claims::{ClaimKinds, Texts, kind_of};
use super::{letters_key, millis, reply, scripts};
use crate::dead_letter::RETENTION;
use crate::error::BusError;
use crate::late_letter::LateLetter;
use crate::once::Once;

pub(super) async fn give_up_late(
    link: &Link,
    topic: &TopicInfo,
    letters: &[LateLetter],
) -> Result<u64, BusError> {
    let claims: Vec<Once> = letters.iter().map(LateLetter::claim).collect();
    let kinds = ClaimKinds::of(claims.iter().map(kind_of));
    let mut command = scripts::GIVE_UP_LATE.command(2);
    command
        .arg(topic.dead_letters())
        .arg(letters_key(topic.name));
    command.arg(topic.name).arg(millis(RETENTION));
    kinds.write(&mut command);
    let mut texts = Texts::default();
    for (letter, claim) in letters.iter().zip(&claims) {
        kinds.write_claim(&mut command, Some(claim));
        command.arg(&letter.id).arg(letter.group);
        command.arg(letter.attempts).arg(&letter.reason);
        command.arg(&letter.error);
        command.arg(letter.first_failed_at.to_string());
        command.arg(&letter.worker);
        for (name, value) in &letter.fields.0 {
            texts.push(name);
            texts.push(value);
        }
        texts.write(&mut command);
    }
    reply::number(link.run(&scripts::GIVE_UP_LATE, &command).await?)
}
