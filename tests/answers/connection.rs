//! What becomes of the connection behind an answer of our own.

use std::thread;

use crate::{
    MISSING, WHOAMI, get,
    support::{Shim, text, upstream::Upstream, wire::Wire},
};

#[test]
fn a_refusal_with_a_small_body_keeps_the_connection() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    let mut wire = shim.connect();
    let body = "{\"a\":1}".repeat(1000);
    for target in ["/_matrix/client/v3/createRoom", "/p?access_token=SECRET%00"] {
        let answer = wire.ask(format!(
            "POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.field("connection").as_deref(), Some("keep-alive"));
    }
    assert_eq!(wire.ask(get("/behind")).status(), 200);
    let seen = upstream.take();
    assert_eq!(seen.len(), 1, "no body was taken for a request");
    assert_eq!(seen[0].target(), b"/behind");
    // Pipelined: the order of the answers is the order of the requests.
    wire.send([get(WHOAMI), get("/a"), get(WHOAMI), get("/b")].concat());
    let statuses = [(); 4].map(|()| wire.response(false).status());
    assert_eq!(statuses, [401, 200, 401, 200]);
    shim.stop();
}

#[test]
fn who_says_close_is_closed() {
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    for request in [
        format!("GET {WHOAMI} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        format!("GET {WHOAMI} HTTP/1.0\r\n\r\n"),
        // Whether this client sends its body or not, nobody can know.
        format!(
            "PUT {WHOAMI}?access_token=%00 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        ),
    ] {
        let mut wire = shim.connect();
        let answer = wire.ask(&request);
        assert_eq!(answer.status(), 401, "{request}");
        assert_eq!(
            answer.field("connection").as_deref(),
            Some("close"),
            "{request}"
        );
        assert_eq!(wire.rest().unwrap(), b"", "{request}");
    }
    shim.stop();
}

/// A client in the middle of an upload has to be able to read its 401: closing
/// at once would reset the connection, and the answer would be lost with it.
#[test]
fn a_refused_upload_reads_its_answer() {
    const SIZE: usize = 5 * 1024 * 1024;
    let upstream = Upstream::plain();
    let shim = Shim::start(&upstream.url(), "");
    let sized = format!("Content-Length: {SIZE}\r\n\r\n");
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{SIZE:x}\r\n");
    for framing in [sized, chunked] {
        let mut wire = shim.connect();
        wire.send(format!(
            "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: h\r\n{framing}"
        ));
        let mut sender = Wire::new(wire.stream.try_clone().unwrap());
        let sending = thread::spawn(move || {
            let block = vec![b'x'; 64 * 1024];
            for _ in 0..SIZE / block.len() {
                sender.try_send(&block)?;
            }
            sender.finish();
            Ok::<_, std::io::Error>(())
        });
        // The whole upload first, as clients do that know nothing of full duplex.
        sending
            .join()
            .unwrap()
            .expect("the upload is taken to its end");
        let answer = wire.response(false);
        assert_eq!(answer.status(), 401);
        assert_eq!(text(&answer.body), MISSING);
        assert_eq!(answer.field("connection").as_deref(), Some("close"));
        assert_eq!(wire.rest().expect("no reset"), b"");
    }
    assert!(upstream.take().is_empty());
    assert_eq!(shim.stop().access_lines().len(), 2);
}
