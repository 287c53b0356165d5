//! Completions for shells, and manual pages, made of the command line itself: neither can
//! tell of a flag that there is not.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{emit::print, exit::Failure};

/// What `completions` is asked for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Completions {
    /// For which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// What `man` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Manual {
    /// Write one page for each command into this directory, instead of the first to stdout.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the completions of `command`; returns the exit code.
///
/// # Errors
///
/// If stdout does not take them.
pub fn completions(arguments: Completions, mut command: Command) -> Result<u8, Failure> {
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut text);
    print(&text)?;
    Ok(0)
}

/// Prints the page of `command`, or writes those of its subcommands as well; returns the
/// exit code.
///
/// # Errors
///
/// If a page cannot be written.
pub fn man(arguments: &Manual, command: Command) -> Result<u8, Failure> {
    let command = command.disable_help_subcommand(true);
    let Some(directory) = &arguments.output else {
        print(&page(command).map_err(Failure::other)?)?;
        return Ok(0);
    };
    write_all(directory, command)
        .map_err(|error| Failure::other(format!("{}: {error}", directory.display())))?;
    Ok(0)
}

fn write_all(directory: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command, directory)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(text)
}
