//! What is long and random and no credential.

use super::{
    formats::Request,
    random::{HEX, LETTERS, MIXED, Random, URL_SAFE},
};

/// Gives a request a target and a Referer full of them.
pub(crate) fn dress(request: &mut Request, random: &mut Random) {
    request.target = target(random);
    if random.below(4) == 0 {
        request.referer = format!("https://client.example{}", target(random));
    }
}

fn target(random: &mut Random) -> String {
    let hex = |random: &mut Random, length| random.word(HEX, length);
    let safe = |random: &mut Random, length| random.word(URL_SAFE, length);
    let number = random.below(1_000_000);
    match random.below(24) {
        0 => format!("/cgit/commit/?id={}", hex(random, 40)),
        1 => format!(
            "/_matrix/client/v3/rooms/!{}:example.org/messages?from=t{number}-{number}_0&dir=b",
            random.word(LETTERS, 18)
        ),
        2 => format!(
            "/_matrix/client/v3/rooms/%21{}%3Aexample.org/event/%24{}",
            random.word(LETTERS, 18),
            safe(random, 43)
        ),
        3 => format!(
            "/_matrix/client/v3/sync?since=s{number}_{number}_0_1&filter={number}&timeout=30000"
        ),
        4 => format!(
            "/_matrix/media/v3/download/example.org/{}",
            random.word(LETTERS, 24)
        ),
        5 => format!(
            "/_matrix/client/v3/publicRooms?limit=20&next_token={}",
            safe(random, 32)
        ),
        6 => format!("/api?page_token={}&has_token=true", safe(random, 24)),
        7 => format!(
            "/objects/{}-{}-4{}-a{}-{}",
            hex(random, 8),
            hex(random, 4),
            hex(random, 3),
            hex(random, 3),
            hex(random, 12)
        ),
        8 => format!("/static/app.{}.js?v={}", hex(random, 20), hex(random, 8)),
        9 => format!("/blobs/sha256:{}", hex(random, 64)),
        10 => format!("/?data={}%3D%3D", random.word(MIXED, 40)),
        11 => format!(
            "/?sid={}&state={}&nonce={}",
            random.word(MIXED, 16),
            safe(random, 43),
            safe(random, 22)
        ),
        12 => format!(
            "/?PHPSESSID={}&jsessionid={}",
            random.word(MIXED, 26).to_lowercase(),
            random.word(MIXED, 32)
        ),
        13 => format!("/_matrix/client/v3/sendToDevice/m.room.encrypted/m{number}.{number}"),
        14 => format!(
            "/src/mat_{}_transform.c?format_mat_2={number}",
            random.word(LETTERS, 5).to_lowercase()
        ),
        15 => format!(
            "/errcode/{}?errcode=M_UNKNOWN_TOKEN&postcode={number}",
            random.word(MIXED, 32)
        ),
        16 => format!(
            "/tokenizer/{}?tokens={number}&max_tokens=1",
            random.word(MIXED, 12)
        ),
        17 => format!("/session/{}/tickets/{number}?sessions=2", hex(random, 32)),
        18 => format!(
            "/reset_password/help?q=password+{}",
            random.word(LETTERS, 12)
        ),
        19 => format!(
            "/?q=my+code+is+{number}&zipcode={number}&barcode={}",
            random.word(MIXED, 13)
        ),
        20 => format!(
            "/_matrix/federation/v1/state/!{}:h?event_id=%24{}",
            random.word(LETTERS, 18),
            safe(random, 43)
        ),
        21 => format!(
            "/_matrix/key/v2/query?ed25519%3Aa_{}={}",
            random.word(LETTERS, 4),
            random.word(MIXED, 43)
        ),
        22 => format!(
            "/refresh_{}?sync_token=s{number}&stream_token={number}",
            random.word(LETTERS, 8).to_lowercase()
        ),
        _ => format!(
            "/?filter=%7B%22room%22%3A%7B%22id%22%3A%22{}%22%7D%7D&next_batch={}",
            random.word(LETTERS, 18),
            safe(random, 30)
        ),
    }
}
