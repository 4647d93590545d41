//! The subcommands.

use std::process::ExitCode;

use crate::analytics::ShowAnalytics;
use crate::audit::Audit;
use crate::bus::BusPlaces;
use crate::completions::Completions;
use crate::dead::DeadLetters;
use crate::feedback::Feedback;
use crate::load::Load;
use crate::man::ManualPages;
use crate::migrate::Migrate;
use crate::pending::Pending;
use crate::profile::Profile;
use crate::profiles::ListProfiles;
use crate::send::SendEvents;
use crate::streams::Streams;
use crate::trace::Trace;
use crate::up::Up;

/// Runs Millrace, sends events to it and shows what it does with them.
#[derive(Debug, clap::Parser)]
#[command(name = "millrace", version, max_term_width = 100)]
pub(crate) enum Command {
    Up(Up),
    Send(SendEvents),
    Load(Load),
    Streams(Streams),
    Pending(Pending),
    Dead(DeadLetters),
    Audit(Audit),
    Bus(BusPlaces),
    Trace(Trace),
    Profile(Profile),
    Profiles(ListProfiles),
    Analytics(ShowAnalytics),
    Feedback(Feedback),
    Migrate(Migrate),
    Completions(Completions),
    Man(ManualPages),
}

impl Command {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(command) => command.run().await,
            Self::Send(command) => command.run().await,
            Self::Load(command) => command.run().await,
            Self::Streams(command) => command.run().await,
            Self::Pending(command) => command.run().await,
            Self::Dead(command) => command.run().await,
            Self::Audit(command) => command.run().await,
            Self::Bus(command) => command.run().await,
            Self::Trace(command) => command.run().await,
            Self::Profile(command) => command.run().await,
            Self::Profiles(command) => command.run().await,
            Self::Analytics(command) => command.run().await,
            Self::Feedback(command) => command.run().await,
            Self::Migrate(command) => command.run().await,
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
        }
    }
}
