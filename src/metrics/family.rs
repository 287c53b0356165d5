//! The fixed list of what is measured. `docs/metrics.md` has the same, by test.

/// How numbers of a family behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They come and go.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Samples that share a name.
#[derive(Debug)]
pub struct Family {
    /// With the unit, and `_total` for counters.
    pub name: &'static str,
    /// How its numbers behave.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! families {
    ($($id:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)+) => {
        $(
            pub(super) static $id: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every family, as they are exposed.
        pub static ALL: &[&Family] = &[$(&$id),+];
    };
}

families! {
    BUILD_INFO = "tokenshim_build_info", Gauge, ["version", "revision"],
        "Always 1; the labels say what is running.";
    WORKERS = "tokenshim_workers", Gauge, [],
        "Worker threads.";
    REQUESTS = "tokenshim_requests_total", Counter, ["method", "code", "route"],
        "Requests that are over, with the status the client got; 499 if it left before.";
    ENDED = "tokenshim_requests_ended_total", Counter, ["ending"],
        "Requests that are over, by how they ended.";
    IN_FLIGHT = "tokenshim_inflight_requests", Gauge, ["route"],
        "Requests that are not over.";
    DURATION = "tokenshim_request_duration_seconds", Histogram, ["route"],
        "From a request's first byte to the last byte of its answer. Long polls are in sync.";
    REQUEST_BYTES = "tokenshim_request_body_bytes_total", Counter, [],
        "Bytes of request bodies that clients sent.";
    RESPONSE_BYTES = "tokenshim_response_body_bytes_total", Counter, [],
        "Bytes of response bodies that clients got.";
    TOKEN_SOURCE = "tokenshim_token_source_total", Counter, ["source"],
        "Requests by where their access token was.";
    REWRITES = "tokenshim_rewrites_total", Counter, ["outcome"],
        "Requests that lost a token from URL or form, by what became of it.";
    REJECTIONS = "tokenshim_rejections_total", Counter, ["reason"],
        "Requests that got an error of our own.";
    VERDICTS = "tokenshim_verdicts_total", Counter, ["verdict", "witness"],
        "What was said of tokens, and by whom.";
    UPSTREAM_REQUESTS = "tokenshim_upstream_requests_total", Counter, ["connection"],
        "Attempts to send a request upstream, by the connection it got.";
    UPSTREAM_CONNECTS = "tokenshim_upstream_connects_total", Counter, [],
        "Connections opened to upstreams.";
    CONNECT_ERRORS = "tokenshim_upstream_connect_errors_total", Counter, ["kind"],
        "Connections to upstreams that could not be opened.";
    ACCEPTED = "tokenshim_connections_accepted_total", Counter, [],
        "Client connections accepted.";
    OPENED = "tokenshim_connections_opened_total", Counter, ["protocol", "tls"],
        "Client connections that came so far as to speak HTTP.";
    CLOSED = "tokenshim_connections_closed_total", Counter, ["protocol", "tls"],
        "Client connections that spoke HTTP and are closed.";
    CONNECTIONS = "tokenshim_connections", Gauge, ["protocol", "tls"],
        "Client connections that are open.";
    HANDSHAKES = "tokenshim_tls_handshakes_total", Counter, ["outcome"],
        "TLS handshakes with clients; one that takes too long has failed, and is a time-out too.";
    LIMITS = "tokenshim_limits_hit_total", Counter, ["limit"],
        "Requests and connections that a limit turned away.";
    TIMEOUTS = "tokenshim_timeouts_total", Counter, ["timeout"],
        "Times that ran out.";
    LINES_LOST = "tokenshim_log_lines_lost_total", Counter, ["log"],
        "Log lines that could not be written.";
    RELOADS = "tokenshim_config_reloads_total", Counter, ["outcome"],
        "Reloads of the configuration.";
    LAST_RELOAD = "tokenshim_config_last_reload_successful", Gauge, [],
        "1 if the configuration on disk was usable when it was last read.";
    LAST_RELOAD_TIME = "tokenshim_config_last_reload_success_timestamp_seconds", Gauge, [],
        "When the configuration in use was read.";
    CPU = "process_cpu_seconds_total", Counter, [],
        "Processor time, of user and system.";
    OPEN_FDS = "process_open_fds", Gauge, [],
        "Open file descriptors.";
    MAX_FDS = "process_max_fds", Gauge, [],
        "The most file descriptors that may be open.";
    RESIDENT = "process_resident_memory_bytes", Gauge, [],
        "Memory in use.";
    VIRTUAL = "process_virtual_memory_bytes", Gauge, [],
        "Address space in use.";
    THREADS = "process_threads", Gauge, [],
        "Threads.";
    START_TIME = "process_start_time_seconds", Gauge, [],
        "When the process started.";
}
