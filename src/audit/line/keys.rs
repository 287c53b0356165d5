//! The names under which JSON logs have what we ask for.

/// What a member of a JSON object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Time,
    Client,
    Method,
    Target,
    /// The same as it was sent.
    SentTarget,
    /// What is behind the `?`.
    Query,
    /// `GET / HTTP/1.1`.
    Line,
    Status,
    Referer,
    UserAgent,
    Authorization,
    User,
    /// A line of text that may have a format of its own.
    Message,
    /// A member that only one program writes.
    Mark(Mark),
}

/// Members that tell who wrote the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    DockerStream,
    JournaldCursor,
    CaddyLogger,
    TraefikStatus,
    SynapseNamespace,
    TokenshimEnding,
}

/// Of the object at the top, with the object around it where that is named.
const KEYS: [(&[u8], &[u8], Key); 74] = [
    (b"", b"time", Key::Time),
    (b"", b"ts", Key::Time),
    (b"", b"timestamp", Key::Time),
    (b"", b"@timestamp", Key::Time),
    (b"", b"msec", Key::Time),
    (b"", b"time_local", Key::Time),
    (b"", b"time_iso8601", Key::Time),
    (b"", b"start_time", Key::Time),
    (b"", b"StartUTC", Key::Time),
    (b"", b"__REALTIME_TIMESTAMP", Key::Time),
    (b"", b"remote", Key::Client),
    (b"", b"remote_addr", Key::Client),
    (b"", b"remote_ip", Key::Client),
    (b"", b"client_ip", Key::Client),
    (b"", b"client", Key::Client),
    (b"", b"clientip", Key::Client),
    (b"", b"ip_address", Key::Client),
    (b"", b"ClientHost", Key::Client),
    (b"", b"client.address", Key::Client),
    (b"", b"downstream_remote_address", Key::Client),
    (b"request", b"remote_addr", Key::Client),
    (b"request", b"remote_ip", Key::Client),
    (b"request", b"client_ip", Key::Client),
    (b"httpRequest", b"remoteIp", Key::Client),
    (b"", b"method", Key::Method),
    (b"", b"request_method", Key::Method),
    (b"", b"RequestMethod", Key::Method),
    (b"", b"http.request.method", Key::Method),
    (b"request", b"method", Key::Method),
    (b"httpRequest", b"requestMethod", Key::Method),
    (b"", b"target", Key::Target),
    (b"", b"uri", Key::Target),
    (b"", b"request_uri", Key::SentTarget),
    (b"", b"url", Key::Target),
    (b"", b"path", Key::Target),
    (b"", b"RequestPath", Key::Target),
    (b"request", b"uri", Key::Target),
    (b"request", b"url", Key::Target),
    (b"httpRequest", b"requestUrl", Key::Target),
    (b"", b"args", Key::Query),
    (b"", b"query_string", Key::Query),
    (b"", b"request", Key::Line),
    (b"", b"request_line", Key::Line),
    (b"", b"status", Key::Status),
    (b"", b"status_code", Key::Status),
    (b"", b"response_code", Key::Status),
    (b"", b"DownstreamStatus", Key::Status),
    (b"httpRequest", b"status", Key::Status),
    (b"", b"referer", Key::Referer),
    (b"", b"referrer", Key::Referer),
    (b"", b"http_referer", Key::Referer),
    (b"", b"http_referrer", Key::Referer),
    (b"", b"request_Referer", Key::Referer),
    (b"headers", b"Referer", Key::Referer),
    (b"httpRequest", b"referer", Key::Referer),
    (b"", b"user_agent", Key::UserAgent),
    (b"", b"http_user_agent", Key::UserAgent),
    (b"", b"request_User-Agent", Key::UserAgent),
    (b"headers", b"User-Agent", Key::UserAgent),
    (b"httpRequest", b"userAgent", Key::UserAgent),
    (b"", b"request_Authorization", Key::Authorization),
    (b"headers", b"Authorization", Key::Authorization),
    (b"", b"requester", Key::User),
    (b"", b"authenticated_entity", Key::User),
    (b"", b"matrix_user", Key::User),
    (b"", b"log", Key::Message),
    (b"", b"message", Key::Message),
    (b"", b"MESSAGE", Key::Message),
    (b"", b"stream", Key::Mark(Mark::DockerStream)),
    (b"", b"__CURSOR", Key::Mark(Mark::JournaldCursor)),
    (b"", b"logger", Key::Mark(Mark::CaddyLogger)),
    (
        b"",
        b"DownstreamContentSize",
        Key::Mark(Mark::TraefikStatus),
    ),
    (b"", b"namespace", Key::Mark(Mark::SynapseNamespace)),
    (b"", b"token_source", Key::Mark(Mark::TokenshimEnding)),
];

/// What the member `name` of the object `parent` says. Objects around that are not asked.
pub(super) fn of(parent: &[u8], name: &[u8]) -> Option<Key> {
    KEYS.iter()
        .find(|(around, known, _)| *known == name && *around == parent)
        .map(|(_, _, key)| *key)
}
