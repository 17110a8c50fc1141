//! Logs and metrics. They hold ids, sizes and durations, and never content, keys or tokens.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Buckets of durations in seconds: from a commit on a fast disk to a call that has just not timed out.
const SECONDS: [f64; 12] =
    [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// Buckets of rows in a commit.
const ROWS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Why there are no logs or metrics.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log.filter is not a filter: {0}")]
    Filter(String),
    /// Metrics were set up twice, or cannot be.
    #[error("metrics cannot be set up: {0}")]
    Metrics(String),
}

/// Writes logs to standard error.
pub fn logs(config: &Config) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .map_err(|error| TelemetryError::Filter(error.to_string()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process is a test's, and the first one will do.
    match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init().ok(),
        LogFormat::Json => builder.json().try_init().ok(),
    };
    Ok(())
}

/// Counts from now on, and gives what prints the counts.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    let wrong =
        |error: metrics_exporter_prometheus::BuildError| TelemetryError::Metrics(error.to_string());
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(wrong)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &ROWS)
        .map_err(wrong)?
        .install_recorder()
        .map_err(wrong)
}
