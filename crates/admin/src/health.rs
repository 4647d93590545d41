//! Whether Redis is well, in the shape that monitors expect.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bus::{BusError, ServerStatus, TopicOverview};
use serde_json::{Value, json};

use crate::api::Api;
use crate::streams::overviews;

/// How long Redis may take to tell how it is.
const TELL_TIME_MAX: Duration = Duration::from_secs(5);
/// The share of the memory limit from which on Redis may soon refuse work, in percent.
const NEARLY_FULL_PERCENT: f64 = 90.0;

/// How Redis is, and what it holds.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) server: ServerStatus,
    pub(crate) topics: Vec<TopicOverview>,
}

/// Messages by what becomes of them, over all groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct QueueStats {
    /// Nobody has them: never delivered, or failed and due later.
    pub(crate) waiting: u64,
    /// Somebody has them.
    pub(crate) active: u64,
    /// Finished.
    pub(crate) completed: u64,
    /// Dead letters that wait for a decision.
    pub(crate) failed: u64,
}

/// Asks Redis; why it does not answer, if it does not.
pub(crate) async fn look(api: &Api) -> Result<Health, String> {
    let asked = async {
        Ok::<_, BusError>(Health {
            server: api.bus.server_status().await?,
            topics: overviews(&api.bus).await?,
        })
    };
    match tokio::time::timeout(TELL_TIME_MAX, asked).await {
        Ok(Ok(health)) => Ok(health),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TELL_TIME_MAX.as_secs())),
    }
}

/// `GET /api/admin/system/redis-health`. Answers 200 also when Redis is down: then `status` is
/// `unhealthy` and what is not known is null. `total` is the memory limit, and the memory of the
/// machine when no limit is set; `percentUsed` is `used` of `total`. `degraded` means that nine
/// tenths of a limit are used: a full Redis accepts no work.
pub(crate) async fn redis(State(api): State<Api>) -> Json<Value> {
    let health = match look(&api).await {
        Ok(health) => health,
        Err(error) => {
            tracing::warn!(error, "redis does not answer");
            return Json(unhealthy());
        }
    };
    let percent = percent_used(&health.server);
    let stats = QueueStats::of(&health.topics);
    Json(json!({
        "status": status(&health.server),
        "connected": true,
        "version": health.server.version,
        "memoryUsage": {
            "used": health.server.used_memory,
            "total": total(&health.server),
            "percentUsed": percent,
        },
        "queueStats": {
            "waiting": stats.waiting,
            "active": stats.active,
            "completed": stats.completed,
            "failed": stats.failed,
        },
    }))
}

fn unhealthy() -> Value {
    json!({
        "status": "unhealthy",
        "connected": false,
        "version": null,
        "memoryUsage": { "used": null, "total": null, "percentUsed": null },
        "queueStats": { "waiting": null, "active": null, "completed": null, "failed": null },
    })
}

/// In one word.
pub(crate) fn status(server: &ServerStatus) -> &'static str {
    if server.memory_max.is_some() && percent_used(server) >= NEARLY_FULL_PERCENT {
        "degraded"
    } else {
        "healthy"
    }
}

/// Bytes that the data may take up.
pub(crate) fn total(server: &ServerStatus) -> u64 {
    server.memory_max.unwrap_or(server.memory_system)
}

/// To two decimals; 0 when the total is not known.
fn percent_used(server: &ServerStatus) -> f64 {
    let hundredths = u128::from(server.used_memory) * 10_000;
    let hundredths = hundredths
        .checked_div(u128::from(total(server)))
        .unwrap_or(0);
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

impl QueueStats {
    pub(crate) fn of(topics: &[TopicOverview]) -> Self {
        let mut stats = Self::default();
        for topic in topics {
            stats.failed += topic.dead_letters;
            for group in &topic.groups {
                stats.waiting += group.undelivered.count + group.retrying;
                stats.active += group.pending.saturating_sub(group.retrying);
                stats.completed += group.done;
            }
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use bus::{Count, GroupOverview};

    use super::*;

    fn server(used: u64, limit: Option<u64>, system: u64) -> ServerStatus {
        ServerStatus {
            version: "7".to_owned(),
            used_memory: used,
            memory_max: limit,
            memory_system: system,
            connected_clients: 1,
            uptime: Duration::ZERO,
        }
    }

    #[test]
    fn memory_is_a_share_of_the_limit_or_else_of_the_machine() {
        for (server, percent, expected) in [
            (server(1, Some(3), 100), 33.33, "healthy"),
            (server(95, Some(100), 1_000), 95.0, "degraded"),
            (server(95, None, 100), 95.0, "healthy"),
            (server(5, None, 0), 0.0, "healthy"),
            (server(u64::MAX, Some(u64::MAX), 0), 100.0, "degraded"),
        ] {
            assert!((percent_used(&server) - percent).abs() < 1e-9, "{server:?}");
            assert_eq!(status(&server), expected, "{server:?}");
        }
    }

    #[test]
    fn every_message_of_a_group_is_counted_once() {
        let group = GroupOverview {
            pending: 7,
            retrying: 2,
            undelivered: Count {
                count: 10,
                exact: true,
            },
            done: 100,
            dead: 3,
            ..GroupOverview::default()
        };
        let topic = TopicOverview {
            dead_letters: 1,
            groups: vec![group.clone(), group],
            ..TopicOverview::default()
        };
        let expected = QueueStats {
            waiting: 24,
            active: 10,
            completed: 200,
            failed: 1,
        };
        assert_eq!(QueueStats::of(&[topic]), expected);
    }
}
