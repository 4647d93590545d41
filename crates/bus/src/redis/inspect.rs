//! Trimming and counting.

use std::collections::HashMap;
use std::time::Duration;

use common::keys::StreamSamplesKey;
use common::topics::TopicInfo;
use redis_link::{Link, Value};

use super::{letters_key, reply, scripts, state_key};
use crate::error::BusError;
use crate::message_id::MessageId;
use crate::overview::{Count, GroupOverview, TopicOverview};
use crate::streams::RETRYING;

/// Entries that are counted one by one when Redis does not know the lag.
const COUNTED_MAX: u64 = 1_000;

pub(super) async fn trim(link: &Link, topic: &TopicInfo) -> Result<u64, BusError> {
    let mut command = scripts::TRIM.command(2 + topic.groups.len());
    let samples = StreamSamplesKey {
        topic: topic.name.to_owned(),
    };
    command.arg(topic.name).arg(samples.to_string());
    for group in topic.groups {
        command.arg(state_key(topic.name, group));
    }
    command.arg(topic.retained).arg(topic.groups);
    reply::number(link.run(&scripts::TRIM, &command).await?)
}

pub(super) async fn overview(link: &Link, topic: &TopicInfo) -> Result<TopicOverview, BusError> {
    let mut command = scripts::OVERVIEW.command(3 + topic.groups.len());
    command.arg(topic.name).arg(topic.dead_letters());
    command.arg(letters_key(topic.name));
    for group in topic.groups {
        command.arg(state_key(topic.name, group));
    }
    command.arg(RETRYING).arg(COUNTED_MAX).arg(topic.groups);
    let reply = reply::array(link.run(&scripts::OVERVIEW, &command).await?)?;
    let [length, published, letters, groups] =
        <[Value; 4]>::try_from(reply).map_err(|reply| reply::unexpected("overview", &reply))?;
    let [dead_letters, redriven, discarded, expired, split, late] =
        <[Value; 6]>::try_from(reply::array(letters)?)
            .map_err(|reply| reply::unexpected("overview", &reply))?;
    Ok(TopicOverview {
        name: topic.name.to_owned(),
        length: reply::number(length)?,
        published: reply::number(published)?,
        dead_letters: reply::number(dead_letters)?,
        redriven: reply::number(redriven)?,
        discarded: reply::number(discarded)?,
        expired: reply::number(expired)?,
        split: reply::number(split)?,
        late: reply::number(late)?,
        groups: reply::array(groups)?
            .into_iter()
            .map(group)
            .collect::<Result<_, _>>()?,
    })
}

fn group(reply: Value) -> Result<GroupOverview, BusError> {
    let mut fields: HashMap<String, Value> = HashMap::new();
    let mut values = reply::array(reply)?.into_iter();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        fields.insert(reply::text(name)?, value);
    }
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    Ok(GroupOverview {
        name: reply::text(take("name"))?,
        consumers: reply::number(take("consumers"))?,
        pending: reply::number(take("pending"))?,
        retrying: reply::number(take("retrying"))?,
        undelivered: Count {
            count: reply::number(take("undelivered"))?,
            exact: reply::number(take("exact"))? == 1,
        },
        done: reply::number(take("done"))?,
        dead: reply::number(take("dead"))?,
        vanished: reply::number(take("vanished"))?,
        counted: reply::number(take("counted"))? == 1,
        recreated: reply::number(take("recreated"))?,
        floor: reply::text(take("floor"))?
            .parse()
            .unwrap_or(MessageId::ZERO),
        delivered_up_to: reply::message_id(take("delivered"))?,
        oldest_undelivered_age: age(take("oldest_undelivered"))?,
        oldest_pending_age: age(take("oldest_pending"))?,
    })
}

/// Milliseconds; -1 for none.
fn age(reply: Value) -> Result<Option<Duration>, BusError> {
    let millis = reply::signed(reply)?;
    Ok(u64::try_from(millis).ok().map(Duration::from_millis))
}
