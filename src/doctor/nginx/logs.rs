//! What gets into logs: formats that are in use, and the error log.

use std::collections::BTreeSet;

use super::{
    Outcome, finding,
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
    error: Option<&'d Directive>,
}

pub(super) fn inspect(directives: &[Directive], variables: &Variables<'_>, outcome: &mut Outcome) {
    let mut formats = Vec::new();
    walk(directives, &mut |directive, _| {
        if directive.name() == "log_format" {
            formats.push(directive);
        }
    });
    let mut judge = Judge {
        formats,
        variables,
        outcome,
        judged: BTreeSet::new(),
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
    // A part of the http block without a server: what it says is for all of them.
    if !has_http && servers == 0 {
        judge.access_of(outermost);
        judge.error_of(outermost);
    }
}

impl<'d> Scope<'d> {
    fn inside(mut self, block: &'d [Directive]) -> Self {
        if block.iter().any(|it| it.name() == "access_log") {
            self.access = block;
            self.has_access = true;
        }
        self.error = block
            .iter()
            .rfind(|it| it.name() == "error_log")
            .or(self.error);
        self
    }
}

struct Judge<'j, 'd> {
    formats: Vec<&'d Directive>,
    variables: &'j Variables<'d>,
    outcome: &'j mut Outcome,
    /// By the address of the directive: a line is judged once, however many use it.
    judged: BTreeSet<usize>,
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
        if scope.error.is_some() {
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
        walk(server.inside(), &mut |block, _| {
            if block.block.is_some() {
                let own = Scope::default().inside(block.inside());
                self.access_of(own);
                self.error_of(own);
            }
        });
    }

    fn access_of(&mut self, scope: Scope<'d>) {
        for access in scope.access.iter().filter(|it| it.name() == "access_log") {
            if access.word(1) != "off" && self.is_new(access) {
                self.access(access);
            }
        }
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
        let Some(error) = scope.error else { return };
        let (target, level) = (error.word(1), error.word(2));
        let is_quiet = matches!(level, "crit" | "alert" | "emerg");
        let is_relayed = target.starts_with("syslog:server=unix:");
        if is_quiet || is_relayed || target == "/dev/null" || !self.is_new(error) {
            return;
        }
        let level = if level.is_empty() { "error" } else { level };
        self.outcome.findings.push(
            finding(
                error,
                error.line(),
                Harm::Logs,
                format!("error_log at level {level}"),
            )
            .because(ERRORS, ERRORS_FIX),
        );
    }
}

const ERRORS: &str = "nginx writes the whole request line and the Referer into the lines of daily \
                      errors (upstream away, limit_req), and no setting takes them out";
const ERRORS_FIX: &str = "let it go through `tokenshim relay` (error_log syslog:server=unix:…), or \
                          raise its level to crit";
