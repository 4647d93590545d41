//! `millrace trace`: what became of one event, stage by stage.

mod cause;
mod search;
mod show;
mod state;
mod timeline;

use std::process::ExitCode;

use anyhow::Context as _;
use bus::{Bus, BusSettings};
use common::topics::{
    EventsNormalized, EventsRaw, EventsRejected, MergeRequests, PredictionRequests,
    PredictionResults, TopicInfo,
};
use common::{BrandId, EventId, Topic as _};
use stores::{Features, SqlSettings};
use worker::ConfigError;

use crate::output::{Output, note};
use search::{Search, search};
use state::Groups;
use timeline::Timeline;

/// The topics whose messages may tell of an event, in the order of the flow.
const TOPICS: [TopicInfo; 6] = [
    EventsRaw::INFO,
    EventsNormalized::INFO,
    EventsRejected::INFO,
    MergeRequests::INFO,
    PredictionRequests::INFO,
    PredictionResults::INFO,
];

/// Show every stage that one event went through, with times, attempts and reasons
///
/// The streams are searched from their newest messages back. Finished messages beyond the
/// retention are trimmed; what was searched and what is gone is said at the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Trace {
    /// The event's id: a UUID, or with --brand the sender's own
    event_id: String,
    /// The brand of a sender's own id
    #[arg(long, env = "BRAND")]
    brand: Option<String>,
    /// Messages of each stream that are looked at, at most
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    search_max: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bus: BusSettings,
    #[command(flatten)]
    sql: SqlSettings,
}

impl Trace {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let event_id = self.event_id()?;
        let bus = self.bus.open()?;
        let features = Features::new(self.sql.open()?);
        let timeline = self.timeline(&bus, features, event_id).await?;
        let mut output = Output::stdout();
        if self.json {
            output.json(&timeline)?;
        } else if timeline.found {
            show::show(&mut output, &timeline)?;
        }
        drop(output);
        if timeline.found {
            return Ok(ExitCode::SUCCESS);
        }
        note(&format!("millrace: no message tells of event {event_id}"));
        let searched = timeline.searched.iter().filter(|it| it.is_known());
        searched.for_each(|it| note(&it.to_string()));
        note("it was never accepted here, or it is finished and its messages are trimmed");
        Ok(ExitCode::FAILURE)
    }

    fn event_id(&self) -> Result<EventId, ConfigError> {
        if let Ok(id) = self.event_id.parse() {
            return Ok(id);
        }
        let brand = self.brand.clone().unwrap_or_default();
        let brand = BrandId::new(brand).map_err(|error| {
            ConfigError(format!(
                "BRAND (--brand): {error}; {:?} is no UUID, and a sender's own id belongs to a \
                 brand",
                self.event_id
            ))
        })?;
        Ok(EventId::of_text(&brand, &self.event_id))
    }

    async fn timeline(
        &self,
        bus: &Bus,
        features: Features,
        event_id: EventId,
    ) -> anyhow::Result<Timeline> {
        let most = usize::try_from(self.search_max)?;
        let mut searches: Vec<Search> = Vec::with_capacity(TOPICS.len());
        for topic in TOPICS {
            let found = search(bus, topic, event_id, most).await;
            searches.push(found.with_context(|| format!("searching {}", topic.name))?);
        }
        let mut groups = Groups::new(bus, features);
        let mut timeline = Timeline::of(event_id, &searches);
        for (stage, found) in timeline::found(&searches).zip(&mut timeline.stages) {
            found.groups = groups.of(stage).await?;
        }
        timeline.sql_error = groups.into_sql_error();
        Ok(timeline)
    }
}
