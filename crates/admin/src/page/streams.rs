//! The tables of the first page: streams with their groups, and the audit.

use std::time::Duration;

use bus::{GroupAudit, GroupOverview, TopicAudit, TopicOverview};
use maud::{Markup, html};

use super::words::{ago, number};

/// A message that is older than this deserves a look.
const OLD: Duration = Duration::from_mins(5);

/// Streams and groups.
pub(super) fn table(topics: &[TopicOverview]) -> Markup {
    html! {
        section aria-labelledby="streams" {
            h2 #streams { "Streams" }
            table role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        th scope="col" role="columnheader" { "Stream" }
                        th scope="col" role="columnheader" { "Group" }
                        th scope="col" role="columnheader" .number { "Published" }
                        th scope="col" role="columnheader" .number { "Lag" }
                        th scope="col" role="columnheader" .number { "Pending" }
                        th scope="col" role="columnheader" .number { "Retrying" }
                        th scope="col" role="columnheader" .number { "Done" }
                        th scope="col" role="columnheader" .number { "Dead" }
                        th scope="col" role="columnheader" .number { "Oldest open" }
                        th scope="col" role="columnheader" .number { "Readers" }
                    }
                }
                tbody role="rowgroup" {
                    @for topic in topics {
                        @for group in &topic.groups { (row(topic, Some(group))) }
                        @if topic.groups.is_empty() { (row(topic, None)) }
                    }
                }
            }
        }
    }
}

fn row(topic: &TopicOverview, group: Option<&GroupOverview>) -> Markup {
    let cell = |label: &str, warned: bool, text: String| {
        html! { td role="cell" .number .warn[warned] data-label=(label) { (text) } }
    };
    html! {
        tr role="row" {
            th scope="row" role="rowheader" { (topic.name) }
            td role="cell" data-label="Group" {
                @match group { Some(group) => (group.name), None => "–" }
            }
            (cell("Published", false, number(topic.published)))
            @if let Some(group) = group {
                @let oldest = oldest(group);
                @let unread = group.consumers == 0 && group.undelivered.count > 0;
                (cell("Lag", unread, lag(group)))
                (cell("Pending", false, number(group.pending)))
                (cell("Retrying", group.retrying > 0, number(group.retrying)))
                (cell("Done", false, number(group.done)))
                (cell("Dead", false, number(group.dead)))
                (cell("Oldest open", oldest.is_some_and(|age| age > OLD),
                    oldest.map_or_else(|| "–".to_owned(), ago)))
                (cell("Readers", unread, number(group.consumers)))
            } @else {
                td role="cell" colspan="7" data-label="Readers" .quiet { "nobody reads it" }
            }
        }
    }
}

fn lag(group: &GroupOverview) -> String {
    let at_least = if group.undelivered.exact { "" } else { "≥ " };
    format!("{at_least}{}", number(group.undelivered.count))
}

fn oldest(group: &GroupOverview) -> Option<Duration> {
    group.oldest_pending_age.max(group.oldest_undelivered_age)
}

/// The equations.
pub(super) fn audit_table(audits: &[TopicAudit]) -> Markup {
    let groups = audits.iter().flat_map(|audit| {
        let name = &audit.name;
        audit.groups.iter().map(move |group| (name, group))
    });
    html! {
        section aria-labelledby="audit" {
            h2 #audit { "Audit" }
            p { "Published = done + pending + dead + undelivered + vanished, for each group." }
            ul .equations {
                @for (topic, group) in groups { li { (equation(topic, group)) } }
            }
            p { "Dead letters written = waiting + redriven + discarded + expired, for each stream." }
            ul .equations {
                @for audit in audits.iter().filter(|audit| audit.letters > 0 || audit.waiting > 0) {
                    li {
                        b { (audit.name) } ": " (number(audit.letters)) " = "
                        (number(audit.waiting)) " + " (number(audit.redriven)) " + "
                        (number(audit.discarded)) " + " (number(audit.expired)) " "
                        (verdict(audit.dead_letters_difference, true))
                    }
                }
            }
        }
    }
}

fn equation(topic: &str, group: &GroupAudit) -> Markup {
    html! {
        b { (topic) } ", " (group.group) ": " (number(group.published)) " = "
        (number(group.done)) " + " (number(group.pending)) " + " (number(group.dead)) " + "
        (number(group.undelivered)) " + " (number(group.vanished)) " "
        (verdict(group.difference, group.exact))
    }
}

fn verdict(difference: i64, exact: bool) -> Markup {
    html! {
        @if !exact { span .quiet { "(not everything is counted)" } }
        @else if difference == 0 { span .good { "balanced" } }
        @else if difference > 0 { span .bad { (number(difference.unsigned_abs())) " missing" } }
        @else { span .bad { (number(difference.unsigned_abs())) " too many" } }
    }
}
