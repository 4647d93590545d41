//! What the subcommands print: tables, JSON lines and CSV on stdout, notes on stderr.

use std::borrow::Cow;
use std::io::{self, StdoutLock, Write};
use std::process::ExitCode;

use bus::NotOpened;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use worker::{ConfigError, EXIT_USAGE};

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    alignment: CellAlignment,
}

impl Column {
    /// For texts.
    pub(crate) const fn left(name: &'static str) -> Self {
        let alignment = CellAlignment::Left;
        Self { name, alignment }
    }

    /// For numbers.
    pub(crate) const fn right(name: &'static str) -> Self {
        let alignment = CellAlignment::Right;
        Self { name, alignment }
    }
}

/// Where results go.
#[derive(Debug)]
pub(crate) struct Output<W>(pub(crate) W);

impl Output<StdoutLock<'static>> {
    /// Standard output, for this one as long as it lives.
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().lock())
    }
}

impl<W: Write> Output<W> {
    /// A line of text.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{text}")
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// A line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }

    /// A row of CSV (RFC 4180, with a line feed alone at the end, as Unix tools like it).
    pub(crate) fn csv<T: AsRef<str>>(
        &mut self,
        fields: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        let fields: Vec<T> = fields.into_iter().collect();
        let quoted: Vec<Cow<'_, str>> = fields.iter().map(|field| csv_field(field)).collect();
        self.line(&quoted.join(","))
    }

    /// A table for people.
    pub(crate) fn table(
        &mut self,
        columns: &[Column],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.style_mut().row_separator = comfy_table::LineStyle::none();
        table.set_header(columns.iter().map(|column| column.name));
        for (number, column) in columns.iter().enumerate() {
            if let Some(shown) = table.column_mut(number) {
                shown.set_cell_alignment(column.alignment);
            }
        }
        table.add_rows(rows);
        self.line(&table.trim_fmt())
    }
}

/// One line on stderr, for what is no result.
pub(crate) fn note(text: &str) {
    // When stderr is gone there is nobody left to tell.
    writeln!(io::stderr(), "{}", text.trim_end()).ok();
}

/// Says why a command failed, if anybody listens, and gives the exit code.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    // Whoever read our output has had enough, as in `millrace profiles | head`.
    let reader_is_gone = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if !reader_is_gone {
        note(&format!("millrace: {}", worker::explain(error)));
    }
    let usage = error.is::<ConfigError>() || error.is::<NotOpened>();
    ExitCode::from(if usage { EXIT_USAGE } else { 1 })
}

/// A number in groups of three digits: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn csv_field<T: AsRef<str>>(field: &T) -> Cow<'_, str> {
    let field = field.as_ref();
    // Some readers drop spaces at the ends of a field that is not quoted.
    if field.contains([',', '"', '\n', '\r']) || field.trim() != field {
        return Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")));
    }
    Cow::Borrowed(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Output<&mut Vec<u8>>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        print(&mut Output(&mut bytes)).expect("memory can be written");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        for (fields, expected) in [
            (["a", "b"], "a,b\n"),
            (["a,b", ""], "\"a,b\",\n"),
            (
                ["say \"hi\"", "two\nlines"],
                "\"say \"\"hi\"\"\",\"two\nlines\"\n",
            ),
            ([" padded", "Zoë"], "\" padded\",Zoë\n"),
        ] {
            assert_eq!(printed(|output| output.csv(fields)), expected);
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_row_and_numbers_stand_right() {
        let columns = [Column::left("topic"), Column::right("length")];
        let rows = [("events.raw", "9"), ("x", "1,000")];
        let rows = rows.map(|(topic, length)| vec![topic.to_owned(), length.to_owned()]);
        let text = printed(|output| output.table(&columns, rows));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], " topic        length");
        assert_eq!(lines[3], " events.raw        9");
        assert_eq!(lines[4], " x             1,000");
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
