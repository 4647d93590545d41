//! Plain pages for people: rendered here, without scripts, and nothing comes from elsewhere.

mod letters;
mod streams;
mod words;

use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::Html;
use bus::{ServerStatus, TopicAudit, TopicOverview};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

pub(crate) use self::letters::dead_letters;
use self::words::{ago, bytes, number};
use crate::api::Api;
use crate::health::{self, Health, QueueStats};

/// Where the style sheet is.
pub(crate) const STYLE_PATH: &str = "/style.css";
/// After so long the page is loaded again.
const REFRESH_SECONDS: u32 = 5;

#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    refresh: Option<String>,
}

/// `GET /style.css`
pub(crate) async fn style() -> ([(HeaderName, &'static str); 1], &'static str) {
    let kind = (CONTENT_TYPE, "text/css; charset=utf-8");
    ([kind], include_str!("page/style.css"))
}

/// `GET /`: how everything is. `?refresh=off` keeps it as it is.
pub(crate) async fn overview(
    State(api): State<Api>,
    Query(query): Query<PageQuery>,
) -> Html<String> {
    let refresh = query.refresh.as_deref() != Some("off");
    let now = api.clock.now().to_string();
    let content = match health::look(&api).await {
        Ok(health) => whole(&health),
        Err(error) => html! {
            section aria-labelledby="health" {
                h2 #health { "Health" }
                p .bad role="alert" { strong { "Redis does not answer." } " " (error) }
                p { "Accepted work waits in Redis until it is back. What workers wait for is at "
                    code { "/ready" } " of their ops addresses." }
            }
        },
    };
    let footer = html! {
        "As of " time datetime=(now) { (now) } ". "
        @if refresh {
            "Loaded again every " (REFRESH_SECONDS) " seconds. " a href="/?refresh=off" { "Pause" }
        } @else {
            a href="/" { "Load again every " (REFRESH_SECONDS) " seconds" }
        }
    };
    document("Overview", refresh, &content, &footer)
}

fn whole(health: &Health) -> Markup {
    let audits: Vec<TopicAudit> = health.topics.iter().map(TopicOverview::audit).collect();
    html! {
        section .cards aria-label="Summary" {
            (redis_card(&health.server))
            (messages_card(QueueStats::of(&health.topics)))
            (audit_card(&audits))
        }
        (streams::table(&health.topics))
        (letters::counts(&health.topics))
        (streams::audit_table(&audits))
    }
}

fn redis_card(server: &ServerStatus) -> Markup {
    let status = health::status(server);
    html! {
        div .card {
            h2 { "Redis" }
            p .big.bad[status != "healthy"].good[status == "healthy"] { (status) }
            dl {
                dt { "Version" } dd { (server.version) }
                dt { "Memory" } dd {
                    (bytes(server.used_memory)) " of " (bytes(health::total(server)))
                    @if server.memory_max.is_none() { " (no limit set)" }
                }
                dt { "Clients" } dd { (number(server.connected_clients)) }
                dt { "Up for" } dd { (ago(server.uptime)) }
            }
        }
    }
}

fn messages_card(stats: QueueStats) -> Markup {
    html! {
        div .card {
            h2 { "Messages" }
            dl {
                dt { "Waiting" } dd { (number(stats.waiting)) }
                dt { "Active" } dd { (number(stats.active)) }
                dt { "Done" } dd { (number(stats.completed)) }
                dt { "Dead letters" } dd .bad[stats.failed > 0] { (number(stats.failed)) }
            }
        }
    }
}

fn audit_card(audits: &[TopicAudit]) -> Markup {
    let unbalanced: Vec<&TopicAudit> = audits.iter().filter(|audit| !audit.is_balanced()).collect();
    let groups = || audits.iter().flat_map(|audit| &audit.groups);
    let vanished: u64 = groups().map(|group| group.vanished).sum();
    let inexact = groups().filter(|group| !group.exact).count();
    html! {
        div .card {
            h2 { "Audit" }
            @if !unbalanced.is_empty() {
                p .big.bad role="alert" { "not balanced" }
                ul {
                    @for audit in unbalanced { li { (audit.name) } }
                }
            } @else if audits.iter().all(TopicAudit::is_proven) {
                p .big.good { "balanced" }
                p { "Every published message is done, pending, undelivered or a dead letter." }
            } @else {
                p .big.quiet { "not fully counted" }
                p { "Nothing is known to be missing." }
            }
            @if vanished > 0 {
                p .bad { (number(vanished)) " messages were deleted while somebody had them." }
            }
            @if inexact > 0 { p { "Of " (inexact) " groups not everything is counted." } }
            p { a href="#audit" { "The equations" } }
        }
    }
}

/// A whole page.
fn document(title: &str, refresh: bool, content: &Markup, footer: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if refresh { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
                title { (title) " – Millrace" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                header { h1 { a href="/" { "Millrace" } " " span { (title) } } }
                main { (content) }
                footer { p { (footer) } }
            }
        }
    };
    Html(page.into_string())
}
