//! Reading the command line and the environment, and saying what is wrong with them.

use std::error::Error as _;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Parser};

/// The exit code for settings that cannot be used (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;

/// Reads the settings; for bad ones says in one line which variable is wrong. The error is the exit
/// code: 0 after printing help, 64 for settings that cannot be used.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    let matches = C::command().try_get_matches();
    let error = match matches.and_then(|mut matches| C::from_arg_matches_mut(&mut matches)) {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Help that cannot be printed helps nobody; there is nothing left to do about it.
            error.print().ok();
            Err(ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.print().ok();
            Err(ExitCode::from(EXIT_USAGE))
        }
        _ => {
            say(&line_of(&C::command(), &error));
            Err(ExitCode::from(EXIT_USAGE))
        }
    }
}

/// One line on stderr, for what must be said when there may be no log.
pub(crate) fn say(text: &str) {
    // When stderr is gone there is nobody left to tell.
    writeln!(std::io::stderr(), "{}", text.trim_end()).ok();
}

fn line_of(command: &clap::Command, error: &clap::Error) -> String {
    let argument = argument_of(command, error);
    let variable = argument.and_then(Arg::get_env).map(OsStr::to_string_lossy);
    let problem = match (argument, error.source()) {
        // The usual text shows the value.
        (Some(secret), Some(why)) if secret.is_hide_env_values_set() => why.to_string(),
        _ => problem_of(error),
    };
    let mut line = match variable {
        Some(variable) if !problem.starts_with(&*variable) => format!("{variable}: {problem}"),
        _ => problem,
    };
    let invalid = error.kind() == ErrorKind::ValueValidation;
    let example = argument.and_then(|argument| argument.get_default_values().first());
    if let Some(example) = example.filter(|_| invalid && !line.contains("allowed")) {
        line = format!("{line}; allowed is, for example, {}", example.display());
    }
    line
}

fn problem_of(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    let details = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.join(", "),
        _ => text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with('['))
            .unwrap_or_default()
            .to_owned(),
    };
    format!("{first} {details}").trim_end().to_owned()
}

/// The option that an error is about.
fn argument_of<'a>(command: &'a clap::Command, error: &clap::Error) -> Option<&'a Arg> {
    let option = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(option) => option,
        ContextValue::Strings(missing) => missing.first()?,
        _ => return None,
    };
    let long = option.strip_prefix("--")?.split([' ', '=']).next()?;
    argument_named(command, long)
}

fn argument_named<'a>(command: &'a clap::Command, long: &str) -> Option<&'a Arg> {
    let own = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(long));
    let below = || {
        let mut commands = command.get_subcommands();
        commands.find_map(|command| argument_named(command, long))
    };
    own.or_else(below)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use clap::CommandFactory as _;

    use super::*;

    #[derive(Debug, Parser)]
    enum Tool {
        Serve(Serve),
    }

    #[derive(Debug, clap::Args)]
    struct Serve {
        #[arg(long, env = "PORT_OF_NOBODY")]
        port: u16,
        #[arg(long, value_parser = ["text", "json"])]
        format: Option<String>,
        #[arg(long, env = "SHARE_OF_NOBODY", default_value_t = 7)]
        share: u8,
        #[arg(long, env = "PLACE_OF_NOBODY", hide_env_values = true)]
        place: Option<SocketAddr>,
    }

    #[test]
    fn a_bad_setting_is_said_in_one_line_with_its_variable_and_what_is_allowed() {
        for (arguments, expected) in [
            (
                ["--port=http", ""],
                "PORT_OF_NOBODY: invalid value 'http' for '--port <PORT>': invalid digit found in \
                 string",
            ),
            (
                ["--port=1", "--format=xml"],
                "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json]",
            ),
            (
                ["--port=1", "--share=900"],
                "SHARE_OF_NOBODY: invalid value '900' for '--share <SHARE>': 900 is not in 0..=255; \
                 allowed is, for example, 7",
            ),
            (
                ["--port=1", "--place=:secret@here"],
                "PLACE_OF_NOBODY: invalid socket address syntax",
            ),
            (
                ["--format=text", ""],
                "PORT_OF_NOBODY: the following required arguments were not provided: --port <PORT>",
            ),
        ] {
            let arguments = arguments.into_iter().filter(|text| !text.is_empty());
            let error = Tool::try_parse_from(["tool", "serve"].into_iter().chain(arguments))
                .expect_err("settings that cannot be used");
            assert_eq!(line_of(&Tool::command(), &error), expected);
        }
    }
}
