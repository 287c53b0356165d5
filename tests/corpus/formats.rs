//! Writers of log lines: each escapes as its program does.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use super::{random::Random, spellings::Place};

/// What a client asked, and what it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) time: i64,
    pub(crate) client: String,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) referer: String,
    pub(crate) user_agent: String,
    pub(crate) authorization: String,
}

impl Request {
    pub(crate) fn of(random: &mut Random) -> Self {
        let client = if random.below(8) == 0 {
            format!("2001:db8::{:x}", random.below(65_535) + 1)
        } else {
            format!("192.0.2.{}", random.below(256))
        };
        Self {
            // In 2026.
            time: 1_767_225_600 + i64::try_from(random.below(20_000_000)).unwrap(),
            client,
            target: "/_matrix/client/versions".to_owned(),
            status: [200, 401, 403, 404, 502][random.below(5)],
            referer: "-".to_owned(),
            user_agent: random
                .pick(&[
                    "Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)",
                    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                    "say \"hi\"/1.0 \\o/",
                    "curl/8.5.0",
                ])
                .to_owned(),
            authorization: "-".to_owned(),
        }
    }

    pub(crate) fn put(&mut self, place: Place, text: &str) {
        match place {
            Place::Query => text.clone_into(&mut self.target),
            Place::Referer => text.clone_into(&mut self.referer),
            Place::Header => text.clone_into(&mut self.authorization),
        }
    }

    fn date(&self, format: &str) -> String {
        let time = Timestamp::from_second(self.time).unwrap();
        time.to_zoned(TimeZone::UTC).strftime(format).to_string()
    }

    fn clf_date(&self) -> String {
        self.date("%d/%b/%Y:%H:%M:%S +0000")
    }

    fn iso_date(&self) -> String {
        self.date("%Y-%m-%dT%H:%M:%S")
    }
}

pub(crate) struct Writer {
    pub(crate) name: &'static str,
    /// What a reader calls it.
    pub(crate) format: &'static str,
    pub(crate) write: fn(&Request) -> Vec<u8>,
    pub(crate) has_referer: bool,
    pub(crate) has_header: bool,
    pub(crate) has_status: bool,
    pub(crate) has_client: bool,
    /// Whether a line says the target in more than one place.
    pub(crate) is_twice: bool,
}

impl Writer {
    const fn new(name: &'static str, format: &'static str, write: fn(&Request) -> Vec<u8>) -> Self {
        Self {
            name,
            format,
            write,
            has_referer: true,
            has_header: false,
            has_status: true,
            has_client: true,
            is_twice: false,
        }
    }

    const fn without_referer(self) -> Self {
        Self {
            has_referer: false,
            ..self
        }
    }

    pub(crate) fn carries(&self, place: Place) -> bool {
        match place {
            Place::Query => true,
            Place::Referer => self.has_referer,
            Place::Header => self.has_header,
        }
    }
}

/// Formats that the reader is given, as nginx has them.
pub(crate) const DIRECTIVES: [&str; 2] = [
    "log_format auth '$remote_addr [$time_local] \"$request\" $status ref=\"$http_referer\" auth=\"$http_authorization\"';",
    "log_format json escape=json '{\"at\":\"$msec\",\"who\":\"$remote_addr\",\"what\":\"$request\",\"how\":$status,\"from\":\"$http_referer\",\"with\":\"$http_authorization\"}';",
];

pub(crate) const WRITERS: &[Writer] = &[
    Writer::new("nginx", "combined", |request| combined(request, nginx).into_bytes()),
    Writer::new("Apache", "combined", |request| combined(request, apache).into_bytes()),
    Writer::new("common", "common", |request| {
        let line = format!(
            "{} - - [{}] \"GET {} HTTP/1.1\" {} 5",
            request.client, request.clf_date(), nginx(&request.target), request.status
        );
        line.into_bytes()
    })
    .without_referer(),
    Writer {
        has_header: true,
        ..Writer::new("nginx's own", "custom", |request| {
            let line = format!(
                "{} [{}] \"GET {} HTTP/1.1\" {} ref=\"{}\" auth=\"{}\"",
                request.client,
                request.clf_date(),
                nginx(&request.target),
                request.status,
                nginx(&request.referer),
                nginx(&request.authorization)
            );
            line.into_bytes()
        })
    },
    Writer {
        has_header: true,
        ..Writer::new("nginx's own JSON", "custom", |request| {
            let line = format!(
                r#"{{"at":"{}.000","who":"{}","what":{},"how":{},"from":{},"with":{}}}"#,
                request.time,
                request.client,
                json(&format!("GET {} HTTP/1.1", request.target)),
                request.status,
                json(&request.referer),
                json(&request.authorization)
            );
            line.into_bytes()
        })
    },
    Writer {
        is_twice: true,
        has_status: false,
        ..Writer::new("nginx's errors", "nginx-error", |request| {
            let line = format!(
                "{} [error] 7#7: *42 connect() failed (111: Connection refused) while connecting to upstream, client: {}, server: h, request: \"GET {} HTTP/1.1\", host: \"h\", referrer: \"{}\"",
                request.date("%Y/%m/%d %H:%M:%S"), request.client, request.target, request.referer
            );
            line.into_bytes()
        })
    },
    Writer {
        has_header: true,
        ..Writer::new("Caddy", "caddy", |request| caddy(request).into_bytes())
    },
    Writer::new("Traefik", "traefik", |request| {
        let line = combined(request, apache);
        format!("{line} 42 \"matrix@docker\" \"http://10.0.0.2:8008\" 12ms").into_bytes()
    }),
    Writer::new("Traefik's JSON", "traefik-json", |request| {
        let line = format!(
            r#"{{"ClientHost":"{}","DownstreamContentSize":5,"DownstreamStatus":{},"RequestMethod":"GET","RequestPath":{},"StartUTC":"{1}","request_Referer":{},"request_User-Agent":{},"time":"{}Z"}}"#,
            request.client,
            request.status,
            go(&request.target),
            go(&request.referer),
            go(&request.user_agent),
            request.iso_date()
        );
        line.into_bytes()
    }),
    Writer::new("HAProxy", "haproxy", |request| {
        let line = format!(
            "{}:33317 [{}.655] in~ matrix/srv1 10/0/30/69/109 {} 2750 - - ---- 1/1/1/1/0 0/0 {{{}|{}}} {{}} \"GET {} HTTP/1.1\"",
            request.client,
            request.date("%d/%b/%Y:%H:%M:%S"),
            request.status,
            haproxy(&request.user_agent),
            haproxy(&request.referer),
            haproxy(&request.target)
        );
        format!("<134>{} haproxy[7]: {line}", request.date("%b %e %H:%M:%S")).into_bytes()
    }),
    Writer::new("Envoy", "envoy", |request| {
        let line = format!(
            "[{}.123Z] \"GET {} HTTP/1.1\" {} - 0 5 1 0 \"{}\" \"{}\" \"5f6a\" \"h\" \"10.0.0.2:8008\"",
            request.iso_date(),
            request.target,
            request.status,
            request.client,
            "curl/8"
        );
        line.into_bytes()
    })
    .without_referer(),
    Writer::new("Synapse", "synapse", |request| {
        let date = request.date("%Y-%m-%d %H:%M:%S");
        format!(
            "{date},123 - synapse.access.http.8008 - 508 - INFO - GET-42 - {}",
            synapse(request)
        )
        .into_bytes()
    })
    .without_referer(),
    Writer {
        is_twice: true,
        ..Writer::new("Synapse's JSON", "synapse-json", |request| {
            let line = format!(
                r#"{{"log":{},"namespace":"synapse.access.http.8008","level":"INFO","time":{}.25}}"#,
                json(&synapse(request)),
                request.time
            );
            line.into_bytes()
        })
    }
    .without_referer(),
    Writer::new("MAS", "mas", |request| {
        let line = format!(
            "{}.123456Z  INFO http.server.response GET-6 - \"GET {} HTTP/1.1\" {} {:?} [107.5µs/1.2ms] client.address={}",
            request.iso_date(), request.target, request.status, request.user_agent, request.client
        );
        line.into_bytes()
    })
    .without_referer(),
    Writer {
        has_client: false,
        ..Writer::new("AWS", "aws-alb", |request| {
            let line = format!(
                "https {}.186641Z app/lb/50dc 192.0.2.1:2817 10.0.0.1:80 0.086 0.048 0.037 {} 200 0 57 \"GET https://h:443{} HTTP/1.1\" \"{}\" ECDHE TLSv1.2 arn \"Root=1-58\"",
                request.iso_date(),
                request.status,
                request.target,
                nginx(&request.user_agent)
            );
            line.into_bytes()
        })
    }
    .without_referer(),
    Writer::new("Docker", "combined", |request| {
        let line = json(&format!("{}\n", combined(request, nginx)));
        format!(r#"{{"log":{line},"stream":"stdout","time":"2026-01-01T00:00:00Z"}}"#).into_bytes()
    }),
    Writer::new("journald's JSON", "combined", |request| {
        let line = json(&combined(request, apache));
        format!(r#"{{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1","MESSAGE":{line}}}"#).into_bytes()
    }),
    Writer::new("journald's export", "combined", |request| {
        format!("MESSAGE={}", combined(request, nginx)).into_bytes()
    }),
    Writer::new("RFC 5424", "combined", |request| {
        let line = combined(request, nginx);
        format!("<190>1 2026-01-01T00:00:00Z host nginx 7 - - {line}").into_bytes()
    }),
    Writer::new("Kubernetes", "combined", |request| {
        let line = combined(request, nginx);
        format!("2026-01-01T00:00:00.000000000Z stdout F {line}").into_bytes()
    }),
];

fn combined(request: &Request, escape: fn(&str) -> String) -> String {
    format!(
        "{} - - [{}] \"GET {} HTTP/1.1\" {} 5 \"{}\" \"{}\"",
        request.client,
        request.clf_date(),
        escape(&request.target),
        request.status,
        escape(&request.referer),
        escape(&request.user_agent)
    )
}

/// A field that was not sent is left out.
fn caddy(request: &Request) -> String {
    let fields = [
        ("User-Agent", &request.user_agent),
        ("Referer", &request.referer),
        ("Authorization", &request.authorization),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|(_, value)| *value != "-")
        .map(|(name, value)| format!("\"{name}\":[{}]", go(value)))
        .collect();
    format!(
        r#"{{"level":"info","ts":{}.25,"logger":"http.log.access.log0","msg":"handled request","request":{{"remote_ip":"10.0.0.1","client_ip":"{}","proto":"HTTP/1.1","method":"GET","host":"h","uri":{},"headers":{{{}}}}},"status":{}}}"#,
        request.time,
        request.client,
        go(&request.target),
        fields.join(","),
        request.status
    )
}

/// Its access line escapes nothing.
fn synapse(request: &Request) -> String {
    format!(
        "{} - 8008 - {{@a:h}} Processed request: 0.013sec/0.001sec ru=(0.004sec, 0.001sec) db=(0.001sec/0.003sec/5) 180B {} \"GET {} HTTP/1.1\" \"{}\" [0 dbevts]",
        request.client, request.status, request.target, request.user_agent
    )
}

fn nginx(text: &str) -> String {
    escaped(text, &['"', '\\'], |out, char| {
        let _ = write!(out, "\\x{:02X}", u32::from(char));
    })
}

fn apache(text: &str) -> String {
    escaped(text, &['"', '\\'], |out, char| {
        out.push('\\');
        out.push(char);
    })
}

fn haproxy(text: &str) -> String {
    escaped(text, &['"', '#', '{', '|', '}'], |out, char| {
        let _ = write!(out, "#{:02X}", u32::from(char));
    })
}

fn escaped(text: &str, marked: &[char], mark: fn(&mut String, char)) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if marked.contains(&char) {
            mark(&mut out, char);
        } else {
            out.push(char);
        }
    }
    out
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Go's encoder is careful with HTML.
fn go(text: &str) -> String {
    json(text)
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
}
