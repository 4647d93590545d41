//! Whether every message is accounted for.

use axum::Json;
use axum::extract::State;
use bus::{GroupAudit, TopicAudit, TopicOverview};
use serde_json::{Value, json};
use worker::http::Problem;

use crate::api::Api;
use crate::problems::bus_problem;
use crate::streams::overviews;

/// `GET /api/audit`: for each group `published = done + pending + dead + undelivered + vanished`,
/// for each topic `written = waiting + redriven + discarded + expired`, and what is missing. What is
/// `balanced` and not `proven` is not fully counted: nothing is known to be missing.
pub(crate) async fn audit(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let overviews = overviews(&api.bus).await.map_err(bus_problem)?;
    let audits: Vec<TopicAudit> = overviews.iter().map(TopicOverview::audit).collect();
    Ok(Json(json!({
        "balanced": audits.iter().all(TopicAudit::is_balanced),
        "proven": audits.iter().all(TopicAudit::is_proven),
        "time": api.clock.now().to_string(),
        "streams": audits.iter().map(stream).collect::<Vec<_>>(),
    })))
}

fn stream(audit: &TopicAudit) -> Value {
    json!({
        "name": audit.name,
        "balanced": audit.is_balanced(),
        "proven": audit.is_proven(),
        "groups": audit.groups.iter().map(group).collect::<Vec<_>>(),
        "dead_letters": {
            "balanced": audit.dead_letters_difference == 0,
            "written": audit.letters,
            "waiting": audit.waiting,
            "redriven": audit.redriven,
            "discarded": audit.discarded,
            "expired": audit.expired,
            "difference": audit.dead_letters_difference,
        },
    })
}

fn group(audit: &GroupAudit) -> Value {
    json!({
        "group": audit.group,
        "balanced": audit.is_balanced(),
        "proven": audit.is_proven(),
        "exact": audit.exact,
        "published": audit.published,
        "done": audit.done,
        "pending": audit.pending,
        "dead": audit.dead,
        "undelivered": audit.undelivered,
        "vanished": audit.vanished,
        "difference": audit.difference,
    })
}
