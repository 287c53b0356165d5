//! What gets into logs: formats that are in use, and the error log.

use std::collections::BTreeSet;

use super::{
    Outcome, finding, is_foreign,
    tree::Directive,
    variables::{Taint, Variables, names},
    walk,
};
use crate::doctor::Harm;

const FIX: &str = "log the path without the query, and no Referer: `tokenshim emit nginx`";

/// What stands around a place, as far as logs are concerned.
#[derive(Clone, Copy, Default)]
struct Scope<'d> {
    access: &'d [Directive],
    has_access: bool,
    error: &'d [Directive],
    has_error: bool,
}

pub(super) fn inspect(directives: &[Directive], variables: &Variables, outcome: &mut Outcome) {
    let mut formats = Vec::new();
    let mut has_socket = false;
    walk(directives, &mut |directive, around| {
        if is_foreign(around) {
            return;
        }
        if directive.name() == "log_format" {
            formats.push(directive);
        }
        has_socket |= is_socket(directive);
    });
    let mut judge = Judge {
        formats,
        has_socket,
        variables,
        outcome,
        judged: BTreeSet::new(),
        looked_at: BTreeSet::new(),
    };
    let has_http = directives.iter().any(|it| it.name() == "http");
    let mut servers = 0_usize;
    let outermost = Scope::default().inside(directives);
    for directive in directives {
        match directive.name() {
            "http" => {
                let count = judge.http(directive, outermost.inside(directive.inside()));
                servers = servers.saturating_add(count);
            }
            "server" => {
                servers = servers.saturating_add(1);
                judge.server(directive, outermost);
            }
            _ => {}
        }
    }
    // A part of the http block, or of a server: what it says is for all of them.
    if !has_http && servers == 0 {
        judge.access_of(outermost);
        judge.error_of(outermost);
        for directive in directives.iter().filter(|it| !is_foreign(&[it])) {
            judge.blocks(directive);
        }
    }
}

/// Whether requests go to a unix socket, which may be gone.
fn is_socket(directive: &Directive) -> bool {
    let is_target = directive.name().ends_with("_pass") || directive.name() == "server";
    is_target
        && directive
            .arguments()
            .iter()
            .any(|word| word.text.contains("unix:"))
}

impl<'d> Scope<'d> {
    fn inside(mut self, block: &'d [Directive]) -> Self {
        if block.iter().any(|it| it.name() == "access_log") {
            self.access = block;
            self.has_access = true;
        }
        if block.iter().any(|it| it.name() == "error_log") {
            self.error = block;
            self.has_error = true;
        }
        self
    }
}

struct Judge<'j, 'd> {
    formats: Vec<&'d Directive>,
    /// Whether an upstream is a unix socket: that it is gone is said at `crit`.
    has_socket: bool,
    variables: &'j Variables,
    outcome: &'j mut Outcome,
    /// By the address of the directive: a line is judged once, however many use it.
    judged: BTreeSet<usize>,
    /// Blocks whose logs were judged, which thousands of servers may inherit.
    looked_at: BTreeSet<(usize, &'static str)>,
}

impl<'d> Judge<'_, 'd> {
    /// Returns how many servers there are.
    fn http(&mut self, http: &'d Directive, scope: Scope<'d>) -> usize {
        let servers = http.inside().iter().filter(|it| it.name() == "server");
        let count = servers.clone().count();
        for server in servers {
            self.server(server, scope);
        }
        if count == 0 {
            self.access_of(scope);
            self.error_of(scope);
        }
        count
    }

    fn server(&mut self, server: &'d Directive, scope: Scope<'d>) {
        let scope = scope.inside(server.inside());
        if scope.has_access {
            self.access_of(scope);
        } else {
            self.outcome.findings.push(
                finding(
                    server,
                    server.line(),
                    Harm::Logs,
                    "server without access_log".into(),
                )
                .because(
                    "as long as nothing around it says otherwise, it writes `combined`, which \
                         has $request and $http_referer",
                    FIX,
                ),
            );
        }
        if scope.has_error {
            self.error_of(scope);
        } else {
            self.outcome.findings.push(
                finding(
                    server,
                    server.line(),
                    Harm::Logs,
                    "server without error_log".into(),
                )
                .because(ERRORS, ERRORS_FIX),
            );
        }
        for directive in server.inside() {
            self.blocks(directive);
        }
    }

    /// What a block and those in it say for themselves.
    fn blocks(&mut self, directive: &'d Directive) {
        walk(std::slice::from_ref(directive), &mut |block, _| {
            if block.block.is_some() {
                let own = Scope::default().inside(block.inside());
                self.access_of(own);
                self.error_of(own);
            }
        });
    }

    fn access_of(&mut self, scope: Scope<'d>) {
        for access in self.new_in(scope.access, "access_log") {
            if access.word(1) != "off" && self.is_new(access) {
                self.access(access);
            }
        }
    }

    /// The directives of that name, the first time that the block is looked at.
    fn new_in(&mut self, block: &'d [Directive], name: &'static str) -> Vec<&'d Directive> {
        if !self.looked_at.insert((block.as_ptr().addr(), name)) {
            return Vec::new();
        }
        block.iter().filter(|it| it.name() == name).collect()
    }

    fn is_new(&mut self, directive: &Directive) -> bool {
        self.judged.insert(std::ptr::from_ref(directive).addr())
    }

    fn access(&mut self, access: &'d Directive) {
        let name = Some(access.word(2))
            .filter(|name| !name.is_empty() && !name.contains('='))
            .unwrap_or("combined");
        let format = self.formats.iter().rfind(|it| it.word(1) == name).copied();
        match format {
            Some(format) => self.format(format, access),
            None if name == "combined" => self.outcome.findings.push(
                finding(
                    access,
                    access.line(),
                    Harm::Logs,
                    "access_log with `combined`".into(),
                )
                .because("that format has $request and $http_referer", FIX),
            ),
            None => self.outcome.incomplete.push(format!(
                "{}:{}: the log_format {name} is in none of the files",
                access.file.display(),
                access.line()
            )),
        }
    }

    fn format(&mut self, format: &'d Directive, access: &Directive) {
        if !self.is_new(format) {
            return;
        }
        for word in format.arguments().iter().skip(1) {
            for (at, name) in names(&word.text) {
                let Some(taint) = self.variables.of_name(name) else {
                    continue;
                };
                if let Taint::Unknown(source) = &taint {
                    self.outcome.incomplete.push(format!(
                        "{}:{}: what ${source} holds is not known, and log_format {} writes ${name}",
                        format.file.display(),
                        word.line,
                        format.word(1)
                    ));
                }
                let before = word.text.get(..at).unwrap_or_default();
                let line = word.line.saturating_add(before.matches('\n').count());
                let what = format!("${name} in log_format {}", format.word(1));
                let used = format!("{}:{}", access.file.display(), access.line());
                let why = match taint {
                    Taint::Whole(source) if source == name => {
                        format!("it carries tokens, and access_log in {used} writes it")
                    }
                    Taint::Whole(source) => {
                        format!("it is made of ${source}, and access_log in {used} writes it")
                    }
                    Taint::Unknown(_) => continue,
                    Taint::Masked(source, map) => format!(
                        "the map in line {map} takes the token out of ${source} by an expression: \
                         another spelling of the name, a second token or a nested URL passes it by"
                    ),
                };
                let found = finding(format, line, Harm::Logs, what).because(why, FIX);
                self.outcome.findings.push(found);
            }
        }
    }

    fn error_of(&mut self, scope: Scope<'d>) {
        // nginx writes into all that stand at one level.
        for error in self.new_in(scope.error, "error_log") {
            if self.is_new(error) {
                self.error(error);
            }
        }
    }

    fn error(&mut self, error: &Directive) {
        let (target, level) = (error.word(1), error.word(2));
        let is_quiet = match level {
            "alert" | "emerg" => true,
            "crit" => !self.has_socket,
            _ => false,
        };
        if is_quiet || target == "/dev/null" {
            return;
        }
        if let Some(socket) = target.strip_prefix("syslog:server=unix:") {
            let socket = socket.split(',').next().unwrap_or(socket);
            let socket = socket.strip_prefix("/var").unwrap_or(socket);
            if socket.starts_with("/run/tokenshim") {
                return;
            }
            let is_system = socket == "/dev/log" || socket.starts_with("/run/systemd/");
            if !is_system {
                self.outcome.incomplete.push(format!(
                    "{}:{}: whether `tokenshim relay` listens at {socket} is not known; \
                     otherwise error_log writes tokens there",
                    error.file.display(),
                    error.line()
                ));
                return;
            }
        }
        let level = if level.is_empty() { "error" } else { level };
        let what = format!("error_log at level {level}");
        let (why, fix) = if level == "crit" {
            (SOCKET, SOCKET_FIX)
        } else {
            (ERRORS, ERRORS_FIX)
        };
        let found = finding(error, error.line(), Harm::Logs, what).because(why, fix);
        self.outcome.findings.push(found);
    }
}

const ERRORS: &str = "nginx writes the whole request line and the Referer into the lines of daily \
                      errors (upstream away, limit_req), and no setting takes them out";
const ERRORS_FIX: &str = "let it go through `tokenshim relay` (error_log \
                          syslog:server=unix:/run/tokenshim-relay/…), or raise its level to crit";
const SOCKET: &str = "an upstream is a unix socket; while it is not there, nginx writes the whole \
                      request line of each request at this level";
const SOCKET_FIX: &str = "let it go through `tokenshim relay` (error_log \
                          syslog:server=unix:/run/tokenshim-relay/…), or raise its level to emerg";
