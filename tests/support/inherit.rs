//! Starting a program as systemd does: with sockets of ours as its descriptors.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::{ffi::OsStr, os::fd::OwnedFd, process::Command};

use command_fds::{CommandFdExt as _, FdMapping};

/// A command that runs `program` with `sockets` as descriptors 3 and up, under
/// their names; arguments, pipes and more environment are for the caller to add.
///
/// The sockets are open in this process for as long as the command is: drop it
/// after the start if the other side has to see them closed.
pub(crate) fn command(program: impl AsRef<OsStr>, sockets: Vec<(&str, OwnedFd)>) -> Command {
    command_for(THE_PROGRAM, program, sockets)
}

/// The same, but the sockets are said to be for another process.
pub(crate) fn command_for_another(
    program: impl AsRef<OsStr>,
    sockets: Vec<(&str, OwnedFd)>,
) -> Command {
    command_for("1", program, sockets)
}

/// The number of the shell, which becomes the program by `exec`.
const THE_PROGRAM: &str = "$$";

fn command_for(
    process: &str,
    program: impl AsRef<OsStr>,
    sockets: Vec<(&str, OwnedFd)>,
) -> Command {
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(r#"LISTEN_PID={process} exec "$0" "$@""#))
        .arg(program)
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"));
    let mappings = (3..)
        .zip(sockets)
        .map(|(child_fd, (_, parent_fd))| FdMapping {
            parent_fd,
            child_fd,
        });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}
