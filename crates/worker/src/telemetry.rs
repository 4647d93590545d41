//! Logs and metrics of the process.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::UtcTime;

use crate::failure::ConfigError;
use crate::settings::{LogFormat, WorkerSettings};

/// Bounds of the histograms, in seconds or messages.
const BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 16.0, 64.0, 256.0,
    512.0,
];

/// Begins to log to stderr and to count.
pub(crate) fn start(settings: &WorkerSettings) -> anyhow::Result<PrometheusHandle> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| {
        ConfigError(format!(
            "LOG (--log): {error}; allowed are tracing directives such as info"
        ))
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let installed = match settings.log_format {
        LogFormat::Text => logs
            .with_timer(UtcTime::rfc_3339())
            .with_ansi(false)
            .try_init(),
        LogFormat::Json => logs
            .json()
            .flatten_event(true)
            .with_timer(UtcTime::rfc_3339())
            .try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("starting the log: {error}"))?;
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(handle)
}
