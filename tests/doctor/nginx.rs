//! What is said of nginx: its logs, its URLs, its includes.

use std::path::{Path, PathBuf};

use tokenshim::doctor::{self, Program};

use super::{Memory, check, shown};

#[test]
fn logs() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "combined by default",
            "server {\n error_log e crit;\n}",
            &["1 server without access_log"],
        ),
        (
            "combined by its name, and without one",
            "server {\n error_log e crit;\n access_log a;\n access_log b combined;\n}",
            &[
                "3 access_log with `combined`",
                "4 access_log with `combined`",
            ],
        ),
        (
            "off, and in a condition",
            "server {\n error_log e crit;\n access_log off;\n location / {\n if ($x) { access_log a; }\n }\n}",
            &["5 access_log with `combined`"],
        ),
        (
            "each variable of a format, in its own line",
            "log_format f '$remote_addr $request_method'\n '$args $status'\n '${http_referer}';\naccess_log a f;\nerror_log e crit;",
            &["2 $args in log_format f", "3 $http_referer in log_format f"],
        ),
        (
            "a format that nobody uses",
            "log_format f $request;\naccess_log off;\nerror_log e crit;",
            &[],
        ),
        (
            "inherited, and overruled",
            "http {\n log_format f $request;\n access_log a f;\n error_log e crit;\n server { access_log off; }\n}",
            &[],
        ),
        (
            "a mask by an expression",
            "map $request_uri $m {\n default $request_uri;\n '~^(.*access_token=)[^&]*(.*)$' $1-$2;\n}\nlog_format f $m;\naccess_log a f;\nerror_log e crit;",
            &["5 $m in log_format f"],
        ),
        (
            "the path, and the site of the referrer",
            "map $request_uri $p { default $request_uri; '~^(?<q>[^?]*)' $q; }\nmap $http_referer $r { default -; '~^(https?://[^/?#]+)' $1; }\nlog_format f '$p $r';\naccess_log a f;\nerror_log e crit;",
            &[],
        ),
        (
            "by way of set",
            "log_format f $x;\nserver {\n set $x $request_uri;\n access_log a f;\n error_log e crit;\n}",
            &["1 $x in log_format f"],
        ),
        (
            "variables in a circle",
            "map $a $b { default $b$a; }\nmap $b $a { default $b; }\nlog_format f $a;\naccess_log a f;\nerror_log e crit;",
            &[],
        ),
        (
            "a token by its argument",
            "log_format f '$arg_since $arg_access_token $cookie_x';\naccess_log a f;\nerror_log e crit;",
            &[
                "1 $arg_access_token in log_format f",
                "1 $cookie_x in log_format f",
            ],
        ),
    ];
    check(Program::Nginx, rows);
}

#[test]
fn error_logs() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "error log",
            "access_log off;\nerror_log /var/log/e.log;",
            &["2 error_log at level error"],
        ),
        (
            "error log of a server",
            "http {\n error_log e warn;\n server { access_log off; error_log e crit; }\n server { access_log off; }\n}",
            &["2 error_log at level warn"],
        ),
        (
            "no error log anywhere",
            "server {\n access_log off;\n}",
            &["1 server without error_log"],
        ),
        (
            "a relay",
            "access_log off;\nerror_log syslog:server=unix:/run/tokenshim-relay/x.sock,nohostname error;",
            &[],
        ),
        (
            "the system's socket is no relay",
            "access_log off;\nerror_log syslog:server=unix:/dev/log info;\nerror_log syslog:server=unix:/run/systemd/journal/dev-log error;",
            &["2 error_log at level info", "3 error_log at level error"],
        ),
        (
            "all error logs of one level are written",
            "access_log off;\nerror_log e1 error;\nerror_log e2 crit;",
            &["2 error_log at level error"],
        ),
        (
            "a socket that is gone is said at crit",
            "server {\n access_log off;\n error_log e crit;\n location / { proxy_pass http://unix:/x.sock; }\n}",
            &["3 error_log at level crit"],
        ),
        (
            "the same by way of an upstream, and what is quiet enough",
            "upstream u { server unix:/x.sock; }\nserver {\n access_log off;\n error_log e crit;\n error_log f emerg;\n}",
            &["4 error_log at level crit"],
        ),
        (
            "a location without its server",
            "location / {\n access_log a combined;\n if ($x) {\n error_log e;\n }\n}",
            &["2 access_log with `combined`", "4 error_log at level error"],
        ),
    ];
    check(Program::Nginx, rows);
}

/// A log format in use, beside what makes its variables.
fn logged(format: &str, made: &str) -> String {
    format!("http {{\nlog_format f '{format}';\naccess_log a f; error_log e crit;\n{made}\n}}")
}

#[test]
fn captures() {
    let rows: &[(&str, &str, &str, &[&str])] = &[
        (
            "a name in a condition",
            "$full",
            "server { if ($request_uri ~ \"^(?<full>.*)$\") { return 404; } }",
            &["2 $full in log_format f"],
        ),
        (
            "a number in a condition",
            "$t",
            "server { if ($args ~ \"(.*)\") { set $t $1; } }",
            &["2 $t in log_format f"],
        ),
        (
            "a number behind a condition",
            "$t",
            "server { if ( $args ~* (.*)) { return 404; } set $t $1; }",
            &["2 $t in log_format f"],
        ),
        (
            "the path alone, by its name and its number",
            "$p $t",
            "server { if ($request_uri ~ ^(?<p>[^?]*)) { set $t $1; } }",
            &[],
        ),
        (
            "a capture of a map, without the map's variable",
            "$q",
            "map $request_uri $m { default -; \"~(?<q>[[:print:]]+)\" $q; }",
            &["2 $q in log_format f"],
        ),
        (
            "of a location and a name, which have no query",
            "$rest $sub",
            "server { server_name ~^(?<sub>.+)$; location ~ ^/(?<rest>.*)$ { } }",
            &[],
        ),
        (
            "an answer of auth_request, geo and split_clients",
            "$a $g $s",
            "auth_request_set $a $upstream_http_x_a; geo $g { default 0; }\nsplit_clients $remote_addr $s { * a; }",
            &[],
        ),
        (
            "a format of the same name for streams",
            "$request",
            "}\nstream {\nlog_format f '$remote_addr';\n",
            &["2 $request in log_format f"],
        ),
    ];
    let texts: Vec<_> = rows
        .iter()
        .map(|(name, format, made, expected)| (*name, logged(format, made), *expected))
        .collect();
    let rows: Vec<_> = texts
        .iter()
        .map(|(name, text, expected)| (*name, text.as_str(), *expected))
        .collect();
    check(Program::Nginx, &rows);
}

#[test]
fn what_cannot_be_told_is_incomplete() {
    for (name, format, made) in [
        ("njs", "$x", "js_set $x main.uri;"),
        ("Perl", "$x", "perl_set $x 'sub { }';"),
        (
            "Lua",
            "$x",
            "server { set_by_lua_block $x { return ngx.var.request_uri } }",
        ),
        (
            "by way of a map",
            "$y",
            "js_set $x main.uri; map $x $y { default $x; }",
        ),
        ("a capture of whatever came last", "$1", ""),
    ] {
        let outcome = super::inspect(Program::Nginx, &logged(format, made));
        assert!(
            outcome.incomplete[0].starts_with("/etc/x/main:2: what $"),
            "{name}: {outcome:?}"
        );
    }
    let text = "access_log off;\nerror_log syslog:server=unix:/run/x.sock info;";
    let outcome = super::inspect(Program::Nginx, text);
    assert!(
        outcome.incomplete[0].starts_with("/etc/x/main:2: whether `tokenshim relay` listens"),
        "{outcome:?}"
    );
}

/// Each map is asked twice for the one before it: without a memory that would be 2^2000.
#[test]
fn a_long_chain_of_maps_is_read_in_time() {
    let maps: Vec<String> = (1..2000)
        .map(|n| format!("map $v{} $v{n} {{ default $v{}; }}\n", n - 1, n - 1))
        .collect();
    let text = logged(
        "$v1999",
        &format!("map $uri $v0 {{ default $args; }}\n{}", maps.concat()),
    );
    check(
        Program::Nginx,
        &[("chain", &text, &["2 $v1999 in log_format f"])],
    );
}

/// A server whose logs are clean.
fn nginx_server(inside: &str) -> String {
    format!("access_log off; error_log e crit; server {{\n{inside}\n}}")
}

#[test]
fn urls() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "as it came",
            "location /_matrix { proxy_pass http://127.0.0.1:8009; }",
            &[],
        ),
        (
            "a slash",
            "location /_matrix {\n proxy_pass http://127.0.0.1:8009/;\n}",
            &["3 proxy_pass with the path /"],
        ),
        (
            "everything else is not ours",
            "location / { proxy_pass http://x/; rewrite a b; }\nlocation /_matrix { proxy_pass http://y; }",
            &[],
        ),
        (
            "but all that there is is",
            "location / {\n proxy_pass http://x$uri;\n}",
            &["3 proxy_pass with $uri"],
        ),
        (
            "a location for administrators alone leaves the rest to /",
            "location /_synapse/admin { deny all; }\nlocation / {\n proxy_pass http://127.0.0.1:8008/;\n rewrite ^/x /y;\n proxy_set_header Authorization \"Bearer $arg_access_token\";\n}",
            &[
                "4 proxy_pass with the path /",
                "5 rewrite",
                "6 proxy_set_header Authorization of $arg_access_token",
            ],
        ),
        (
            "so does one of them, but not the usual expression",
            "location = /_matrix/x { }\nlocation ~ ^(/_matrix|/_synapse/client) { proxy_pass http://y; }\nlocation / { rewrite a b; }",
            &[],
        ),
        (
            "a redirect in a condition, beside a place of no interest",
            "if ($host = a.org) {\n return 301 https://$host$request_uri;\n}\nlocation /.well-known/acme-challenge/ { root /x; }",
            &["3 return with $request_uri"],
        ),
        (
            "somebody's key is not repeated",
            "location / {\n proxy_pass http://u/hook?key=FAKE-SECRET-0;\n}",
            &["3 proxy_pass with the path /hook"],
        ),
        (
            "rewrite and set",
            "location ~ ^/_matrix {\n rewrite ^/a/(.*) /$1? break;\n set $args '';\n}",
            &["3 rewrite", "4 set $args"],
        ),
        (
            "redirects",
            "return 301 https://$host$request_uri;",
            &["2 return with $request_uri"],
        ),
        (
            "redirects without the query",
            "return 301 https://$host$uri;",
            &[],
        ),
        (
            "rewrite that redirects",
            "location / {\n rewrite ^ https://x permanent;\n}",
            &["3 rewrite", "3 rewrite with $args"],
        ),
        (
            "the recipe with a condition",
            "location /_matrix {\n if ($arg_access_token) {\n proxy_set_header Authorization \"Bearer $arg_access_token\";\n }\n}",
            &[
                "3 if with $arg_access_token",
                "4 proxy_set_header Authorization of $arg_access_token",
            ],
        ),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, inside, expected)| (*name, nginx_server(inside), *expected))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, text, expected)| (*name, text.as_str(), *expected))
        .collect();
    check(Program::Nginx, &rows);
}

#[test]
fn urls_outside_of_servers() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "inherited by all servers",
            "http {\n access_log off; error_log e crit;\n proxy_set_header Authorization \"Bearer $arg_access_token\";\n server { location / { proxy_pass http://u; } }\n}",
            &["3 proxy_set_header Authorization of $arg_access_token"],
        ),
        (
            "a part of a server",
            "location / {\n proxy_pass http://x/;\n}",
            &["2 proxy_pass with the path /"],
        ),
    ];
    check(Program::Nginx, rows);
}

/// The recipe that people write.
#[test]
fn recipe() {
    let text = r#"
map $arg_access_token $auth { "" $http_authorization; default "Bearer $arg_access_token"; }
server {
  access_log off; error_log e crit;
  location / {
    if ($args ~ "^(.*&)?access_token=[^&]*&?(.*)$") { set $args $1$2; }
    proxy_set_header Authorization $auth;
    proxy_pass http://up;
  }
}
"#;
    let expected: &[&str] = &[
        "6 set $args",
        "7 proxy_set_header Authorization of $arg_access_token",
    ];
    check(Program::Nginx, &[("recipe", text, expected)]);
}

#[test]
fn includes() {
    let mut files = Memory::default();
    for (path, text) in [
        ("/etc/x/conf.d/a.conf", "server {\n access_log a;\n}"),
        ("/etc/x/conf.d/b.conf", "include /etc/x/conf.d/b.conf;"),
        ("/etc/x/snippets/log", "error_log e crit;"),
    ] {
        files.0.insert(path.into(), text.into());
    }
    let text = "http {\n include snippets/log;\n include conf.d/a*.conf;\n include none/*.conf;\n include gone;\n}";
    let texts = [(PathBuf::from("/etc/x/nginx.conf"), text.to_owned())];
    let outcome = doctor::inspect(Program::Nginx, &texts, None, &files);
    assert_eq!(shown(&outcome), ["2 access_log with `combined`"]);
    assert_eq!(outcome.findings[0].file, Path::new("/etc/x/conf.d/a.conf"));
    let [missing] = &outcome.incomplete[..] else {
        panic!("{:?}", outcome.incomplete)
    };
    assert!(
        missing.starts_with("/etc/x/nginx.conf:5: include /etc/x/gone"),
        "{missing}"
    );
    let circle = [(
        PathBuf::from("/etc/x/n"),
        "include conf.d/b.conf;".to_owned(),
    )];
    let outcome = doctor::inspect(Program::Nginx, &circle, None, &files);
    assert!(
        outcome.incomplete[0].contains("too many files"),
        "{outcome:?}"
    );
}
