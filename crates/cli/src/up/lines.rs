//! The lines of all workers on one stdout, each with the name of who wrote it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bounded_lines::BoundedLines;

/// Lines that wait for a slow terminal, at most; then the workers wait.
const QUEUE_LINES: usize = 1_024;
/// How much of a line is shown.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How long the last lines may take.
const FINISH_MAX: Duration = Duration::from_secs(1);
/// The name before the lines of `up` itself.
const OWN_NAME: &str = "up";
/// ANSI colours of the workers' names: cyan, green, yellow, blue, magenta.
const COLOURS: [u8; 5] = [36, 32, 33, 34, 35];

/// Where lines are handed in. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Printer {
    prefixes: BTreeMap<&'static str, String>,
    queue: mpsc::Sender<Vec<u8>>,
}

/// Prints the lines on a thread of its own, so that a blocked terminal blocks nothing else.
#[derive(Debug)]
pub(super) struct Printing(JoinHandle<()>);

impl Printer {
    /// Begins to print for workers of these names.
    pub(super) fn start(
        names: impl Iterator<Item = &'static str>,
        no_color: bool,
    ) -> (Self, Printing) {
        let (queue, mut lines) = mpsc::channel::<Vec<u8>>(QUEUE_LINES);
        let printing = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout();
            while let Some(line) = lines.blocking_recv() {
                // When nobody reads any more, the workers live on without being heard.
                stdout.write_all(&line).ok();
            }
        });
        let prefixes = prefixes(names, !no_color && io::stdout().is_terminal());
        (Self { prefixes, queue }, Printing(printing))
    }

    /// A line of a worker.
    pub(super) async fn line(&self, name: &str, text: &[u8]) {
        let prefix = self.prefixes.get(name).map_or(name, String::as_str);
        let line = [prefix.as_bytes(), text.trim_ascii_end(), b"\n"].concat();
        // See `start`: the thread has ended with the runtime.
        self.queue.send(line).await.ok();
    }

    /// A line of `up` itself.
    pub(super) async fn say(&self, text: &str) {
        self.line(OWN_NAME, text.as_bytes()).await;
    }

    /// Prints all lines of a worker's stream until it ends.
    pub(super) async fn copy(self, name: &'static str, stream: impl AsyncRead + Unpin) {
        let mut lines = BoundedLines::new(stream, 0, LINE_BYTES_MAX);
        // A stream that cannot be read has ended.
        while let Ok(Some(mut line)) = lines.next().await {
            if line.cut > 0 {
                let cut = format!("… ({} more bytes)", line.cut);
                line.bytes.extend_from_slice(cut.as_bytes());
            }
            self.line(name, &line.bytes).await;
        }
    }
}

impl Printing {
    /// Waits until what was handed in is printed, unless the terminal is blocked. All printers must
    /// be dropped before.
    pub(super) async fn finish(self) {
        match tokio::time::timeout(FINISH_MAX, self.0).await {
            Ok(Ok(()) | Err(_)) | Err(_) => {}
        }
    }
}

fn prefixes(
    names: impl Iterator<Item = &'static str>,
    colour: bool,
) -> BTreeMap<&'static str, String> {
    let names: Vec<&'static str> = names.chain([OWN_NAME]).collect();
    let width = names
        .iter()
        .map(|name| name.len())
        .max()
        .unwrap_or_default();
    let prefix = |(name, code): (&'static str, u8)| {
        let plain = format!("{name:width$} |");
        let prefix = match (colour, name) {
            (false, _) => format!("{plain} "),
            (true, OWN_NAME) => format!("\u{1b}[1m{plain}\u{1b}[0m "),
            (true, _) => format!("\u{1b}[{code}m{plain}\u{1b}[0m "),
        };
        (name, prefix)
    };
    names
        .into_iter()
        .zip(COLOURS.into_iter().cycle())
        .map(prefix)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_padded_to_the_longest_and_coloured_on_a_terminal() {
        let plain = prefixes(["admin", "ingestion"].into_iter(), false);
        let expected = [
            ("admin", "admin     | "),
            ("ingestion", "ingestion | "),
            ("up", "up        | "),
        ];
        assert_eq!(
            plain,
            expected
                .map(|(name, prefix)| (name, prefix.to_owned()))
                .into()
        );
        let coloured = prefixes(["admin"].into_iter(), true);
        assert_eq!(coloured["admin"], "\u{1b}[36madmin |\u{1b}[0m ");
    }
}
