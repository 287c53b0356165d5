//! nginx's own variables. What is not among them, and is made nowhere, some module makes.

/// Variables that hold the query or a whole URL, or credentials.
const KNOWN: [&str; 15] = [
    "request",
    "request_uri",
    "args",
    "query_string",
    "request_body",
    "http_referer",
    "http_cookie",
    "http_authorization",
    "http_x_access_token",
    "http_x_original_uri",
    "http_x_original_url",
    "http_x_forwarded_uri",
    "http_x_rewrite_url",
    "sent_http_location",
    "upstream_http_location",
];

/// Parts of a parameter's name that mean a secret.
const SECRETS: [&str; 6] = ["token", "secret", "password", "code", "sig", "key"];

/// Names without anything of the kind.
const HARMLESS: [&str; 64] = [
    "ancient_browser",
    "binary_remote_addr",
    "body_bytes_sent",
    "bytes_received",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connection_time",
    "connections_active",
    "connections_reading",
    "connections_waiting",
    "connections_writing",
    "content_length",
    "content_type",
    "date_gmt",
    "date_local",
    "document_root",
    "document_uri",
    "fastcgi_path_info",
    "fastcgi_script_name",
    "gzip_ratio",
    "host",
    "hostname",
    "http2",
    "http3",
    "https",
    "invalid_referer",
    "is_args",
    "is_request_port",
    "limit_conn_status",
    "limit_rate",
    "limit_req_status",
    "modern_browser",
    "msec",
    "msie",
    "nginx_version",
    "pid",
    "pipe",
    "proxy_add_x_forwarded_for",
    "proxy_host",
    "proxy_port",
    "realip_remote_addr",
    "realip_remote_port",
    "realpath_root",
    "remote_addr",
    "remote_port",
    "remote_user",
    "request_body_file",
    "request_completion",
    "request_filename",
    "request_id",
    "request_length",
    "request_method",
    "request_port",
    "request_time",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "status",
    "time_iso8601",
    "time_local",
    "uri",
];

/// What begins so is one of nginx's own, too; `arg_` and `cookie_` are among the known.
const FAMILIES: [&str; 14] = [
    "arg_",
    "geoip_",
    "geoip2_",
    "http_",
    "otel_",
    "proxy_protocol_",
    "secure_link",
    "sent_http_",
    "sent_trailer_",
    "slice_",
    "ssl_",
    "tcpinfo_",
    "uid_",
    "upstream_",
];

/// Whether it may carry a token.
pub(super) fn is_known(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if KNOWN.contains(&name.as_str()) || name.starts_with("cookie_") {
        return true;
    }
    name.strip_prefix("arg_")
        .is_some_and(|argument| SECRETS.iter().any(|word| argument.contains(word)))
}

/// Whether it is one of nginx's that carries none.
pub(super) fn is_harmless(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    HARMLESS.contains(&name.as_str()) || FAMILIES.iter().any(|start| name.starts_with(start))
}
