//! Envoy's messages for gRPC `ext_authz`, as far as we use them.
//!
//! Written by hand from `envoy/service/auth/v3/external_auth.proto`,
//! `attribute_context.proto` and what they import; fields that are not here are passed
//! over. Text that a client may have sent is taken as bytes, since it need not be UTF-8;
//! nothing that holds it prints.

use std::fmt;

use prost::{Message, bytes::Bytes};

macro_rules! cannot_print {
    ($($message:ident)+) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(<redacted>)"))
            }
        }
    )+};
}

cannot_print! {
    CheckRequest Attributes Peer Address SocketAddress Request HttpRequest Entry HeaderMap RawHeader
    CheckResponse Denied Allowed HeaderOption Header Struct StructField Value
}

/// The question.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CheckRequest {
    /// What is known of the request.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<Attributes>,
}

/// `AttributeContext`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Attributes {
    /// The client, as Envoy knows it.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
}

/// `AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// `config.core.v3.Address`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Address {
    /// Of a client that is not on a unix socket.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// `config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct SocketAddress {
    /// An IP address.
    #[prost(bytes = "bytes", tag = "2")]
    pub address: Bytes,
}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Request {
    /// It is always one of HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HttpRequest {
    /// The method.
    #[prost(bytes = "bytes", tag = "2")]
    pub method: Bytes,
    /// The fields; those of one name are one, with commas.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Entry>,
    /// The target, with `!` for what is not UTF-8.
    #[prost(bytes = "bytes", tag = "4")]
    pub path: Bytes,
    /// The authority.
    #[prost(bytes = "bytes", tag = "5")]
    pub host: Bytes,
    /// The fields as they came, in place of `headers`, with `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// One entry of a `map<string, string>`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Entry {
    /// In lower case.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HeaderMap {
    /// In order.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<RawHeader>,
}

/// `config.core.v3.HeaderValue`, as it comes.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct RawHeader {
    /// In lower case.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The value, if the other one is empty.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// The value.
    #[prost(bytes = "bytes", tag = "3")]
    pub raw_value: Bytes,
}

/// The answer: `denied` or `allowed`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CheckResponse {
    /// Whether the request may pass.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// What the client gets instead.
    #[prost(message, optional, tag = "2")]
    pub denied: Option<Denied>,
    /// What the upstream gets otherwise.
    #[prost(message, optional, tag = "3")]
    pub allowed: Option<Allowed>,
    /// What Envoy's log can show.
    #[prost(message, optional, tag = "4")]
    pub dynamic_metadata: Option<Struct>,
}

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Struct {
    /// A `map<string, Value>`.
    #[prost(message, repeated, tag = "1")]
    pub fields: Vec<StructField>,
}

/// One entry of it.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct StructField {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<Value>,
}

/// `google.protobuf.Value`; ours are all text.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Value {
    /// The text.
    #[prost(string, tag = "3")]
    pub text: String,
}

/// `google.rpc.Status`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct Status {
    /// 0 for yes.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `DeniedHttpResponse`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Denied {
    /// The status code.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// The fields.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderOption>,
    /// The body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// `type.v3.HttpStatus`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct HttpStatus {
    /// The number.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `OkHttpResponse`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Allowed {
    /// Fields that are set in place of the client's.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderOption>,
    /// Fields of the client that go no further.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
}

/// `config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HeaderOption {
    /// The field.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// What becomes of others of that name.
    #[prost(int32, tag = "3")]
    pub append_action: i32,
}

/// `config.core.v3.HeaderValue`, as we send it.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct Header {
    /// In lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE: i32 = 2;

impl HeaderOption {
    /// A field that takes the place of all others of its name.
    #[must_use]
    pub fn set(key: &str, value: &str) -> Self {
        Self {
            header: Some(Header {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            append_action: OVERWRITE,
        }
    }
}
