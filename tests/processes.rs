//! What every binary promises as a process: settings, start-up, signals, health, metrics, help and
//! who may come in.

#[path = "processes/backlog.rs"]
mod backlog;
#[path = "processes/guards.rs"]
mod guards;
#[path = "processes/help.rs"]
mod help;
#[path = "processes/metrics.rs"]
mod metrics;
#[path = "processes/running.rs"]
mod running;
#[path = "processes/secrets.rs"]
mod secrets;
#[path = "processes/settings.rs"]
mod settings;
#[path = "processes/signals.rs"]
mod signals;
#[path = "processes/startup.rs"]
mod startup;
