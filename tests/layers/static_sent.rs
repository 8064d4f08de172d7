//! Files of a directory: how they are sent.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use http::Method;
use http_body::Body as _;
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use ziggurat::Body;
use ziggurat::layers::CompressionLayer;

use crate::static_files::{CHANGED, ask, files, header, layer, write};
use crate::support::{bytes, decode, get, gzip, problem, text};

#[tokio::test]
async fn parts_are_sent_where_they_are_asked_for() {
    let place = files();
    let layer = layer(&place);
    for (range, status, content_range, body) in [
        ("bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("bytes=4-", 206, "bytes 4-9/10", "456789"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=9-", 206, "bytes 9-9/10", "9"),
        ("bytes=0-99", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=-99", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=3-2", 200, "", "0123456789"),
        ("bytes=x", 200, "", "0123456789"),
        ("lines=0-1", 200, "", "0123456789"),
        ("bytes=0-1,4-5", 200, "", "0123456789"),
    ] {
        let response = ask(&layer, get("/static/ten.txt", &[("range", range)])).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-range")),
            (status, content_range),
            "{range}"
        );
        assert_eq!(header(&response, "content-length"), body.len().to_string(), "{range}");
        assert_eq!(header(&response, "etag"), "\"ae1b981bc490a00-a\"");
        assert_eq!(text(response).await, body, "{range}");
    }
    for (path, range, content_range) in [
        ("ten.txt", "bytes=10-", "bytes */10"),
        ("ten.txt", "bytes=-0", "bytes */10"),
        ("empty", "bytes=0-", "bytes */0"),
    ] {
        let response = ask(&layer, get(&format!("/static/{path}"), &[("range", range)])).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-range")), (416, content_range), "{range}");
        assert_eq!(problem(response).await["title"], "Range not satisfiable");
    }
    let tag = "\"ae1b981bc490a00-a\"";
    for (had, status) in [
        (tag, 206),
        (CHANGED, 206),
        ("\"other\"", 200),
        ("W/\"ae1b981bc490a00-a\"", 200),
        ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
    ] {
        let request = get("/static/ten.txt", &[("range", "bytes=2-3"), ("if-range", had)]);
        assert_eq!(ask(&layer, request).await.status(), status, "{had}");
    }
    // A condition goes before a range that is not there.
    let request = get("/static/ten.txt", &[("range", "bytes=99-"), ("if-none-match", tag)]);
    assert_eq!(ask(&layer, request).await.status(), 304);
    let request = get("/static/ten.txt", &[("range", "bytes=99-"), ("if-range", "\"other\"")]);
    assert_eq!(ask(&layer, request).await.status(), 200);
}

#[tokio::test]
async fn conditions_are_answered_without_a_body() {
    let place = files();
    let layer = layer(&place).max_age(Duration::from_secs(60), false).precompressed(true);
    let tag = "\"ae1b981bc490a00-a\"";
    for method in [Method::GET, Method::HEAD] {
        for condition in [("if-none-match", tag), ("if-none-match", "*"), ("if-modified-since", CHANGED)] {
            let mut request = get("/static/ten.txt", &[condition]);
            *request.method_mut() = method.clone();
            let response = ask(&layer, request).await;
            assert_eq!((response.status().as_u16(), header(&response, "etag")), (304, tag), "{condition:?}");
            assert_eq!(header(&response, "cache-control"), "max-age=60");
            assert_eq!(header(&response, "vary"), "accept-encoding");
            for absent in ["content-length", "content-type", "last-modified"] {
                assert_eq!(header(&response, absent), "", "{absent}");
            }
            assert!(response.body().is_end_stream());
        }
    }
    for condition in [("if-match", "\"other\""), ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")] {
        let response = ask(&layer, get("/static/ten.txt", &[condition])).await;
        assert_eq!(response.status(), 412, "{condition:?}");
        assert_eq!(problem(response).await["title"], "Precondition failed");
    }
    // What was changed just now may be changed again, and its tag would not tell.
    fs::write(place.path().join("public/ten.txt"), "changed").unwrap();
    let fresh = ask(&layer, get("/static/ten.txt", &[("if-none-match", tag)])).await;
    assert_eq!(fresh.status(), 200);
    assert!(header(&fresh, "etag").starts_with("W/\""));
    assert_eq!(header(&fresh, "last-modified"), "", "another change may have the same one");
    let again = get("/static/ten.txt", &[("if-none-match", header(&fresh, "etag"))]);
    assert_eq!(ask(&layer, again).await.status(), 304);
    let part = get("/static/ten.txt", &[("range", "bytes=0-1"), ("if-range", header(&fresh, "etag"))]);
    assert_eq!(ask(&layer, part).await.status(), 200);
}

/// As of releases that were unpacked from archives in which all times are one.
#[tokio::test]
async fn what_a_build_has_set_all_times_to_is_no_version() {
    let place = files();
    let path = place.path().join("public/page.html");
    let release = |content: &str| {
        write(&path, content);
        let one = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        File::options().write(true).open(&path).unwrap().set_modified(one).unwrap();
    };
    release("app-1111.js");
    let layer = layer(&place);
    let first = ask(&layer, get("/static/page.html", &[])).await;
    assert_eq!(header(&first, "last-modified"), "");
    let tag = header(&first, "etag").to_owned();
    assert_eq!(ask(&layer, get("/static/page.html", &[("if-none-match", &tag)])).await.status(), 304);
    // Times of the system go by ticks of some milliseconds.
    tokio::time::sleep(Duration::from_millis(50)).await;
    release("app-2222.js");
    let date = "Thu, 01 Jan 1970 00:00:01 GMT";
    for condition in [("if-none-match", &*tag), ("if-modified-since", date)] {
        let second = ask(&layer, get("/static/page.html", &[condition])).await;
        assert_eq!((second.status().as_u16(), &*text(second).await), (200, "app-2222.js"), "{condition:?}");
    }
    let part = get("/static/page.html", &[("range", "bytes=0-1"), ("if-range", date)]);
    assert_eq!(ask(&layer, part).await.status(), 200);
}

#[tokio::test]
async fn files_that_are_compressed_already_are_sent_so() {
    let place = files();
    let public = place.path().join("public");
    write(&public.join("app.js"), "code ".repeat(100));
    write(&public.join("app.js.gz"), gzip("code ".repeat(100).as_bytes()));
    write(&public.join("app.js.br"), "brotli");
    fs::create_dir(public.join("app.js.zst")).unwrap();
    let layer = layer(&place).precompressed(true);
    let mut tags = Vec::new();
    for (accepted, coding) in [
        ("gzip, br", "br"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.6", "gzip"),
        ("zstd, gzip;q=0.1", "gzip"),
        ("*;q=0.1, br;q=0", "gzip"),
        ("identity, br;q=0.9", ""),
        ("br;q=0", ""),
        ("", ""),
    ] {
        let response = ask(&layer, get("/static/app.js", &[("accept-encoding", accepted)])).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-encoding")), (200, coding), "{accepted}");
        assert_eq!(header(&response, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(header(&response, "vary"), "accept-encoding");
        tags.push(header(&response, "etag").to_owned());
    }
    assert!(tags[0].ends_with("-br\"") && tags[1].ends_with("-gzip\"") && !tags[5].ends_with("zip\""), "{tags:?}");
    let part = get("/static/app.js", &[("accept-encoding", "gzip"), ("range", "bytes=0-1"), ("if-range", &tags[1])]);
    let part = ask(&layer, part).await;
    assert_eq!((part.status().as_u16(), header(&part, "content-encoding")), (206, "gzip"));
    assert_eq!(bytes(part).await[..], [0x1f, 0x8b]);
    let stale = get("/static/app.js", &[("accept-encoding", "gzip"), ("if-none-match", &tags[0])]);
    assert_eq!(ask(&layer, stale).await.status(), 200, "of another coding");
    let without = ask(&layer.clone().precompressed(false), get("/static/app.js", &[("accept-encoding", "br")])).await;
    assert_eq!((header(&without, "content-encoding"), header(&without, "vary")), ("", ""));
    assert_eq!(ask(&layer, get("/static/ten.txt", &[("accept-encoding", "br")])).await.status(), 200);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret.txt", public.join("ten.txt.br")).unwrap();
        let plain = ask(&layer, get("/static/ten.txt", &[("accept-encoding", "br")])).await;
        assert_eq!(header(&plain, "content-encoding"), "");
        assert_eq!(text(plain).await, "0123456789");
    }
}

#[tokio::test]
async fn compression_outside_leaves_parts_and_coded_files_alone() {
    let place = files();
    let page = "<p>text</p>".repeat(1000);
    write(&place.path().join("public/page.html"), &page);
    write(&place.path().join("public/coded.html"), &page);
    write(&place.path().join("public/coded.html.gz"), gzip(page.as_bytes()));
    let large = vec![b'a'; 3 << 20];
    write(&place.path().join("public/large.txt"), &large);
    let service = CompressionLayer::new().layer(layer(&place).precompressed(true).into_service());
    let asked = async |path: &str, more: &[(&str, &str)]| {
        let headers = [&[("accept-encoding", "gzip")], more].concat();
        service.clone().oneshot(get(path, &headers)).await.unwrap().map(Body::new)
    };
    let coded = asked("/static/page.html", &[]).await;
    assert_eq!((header(&coded, "content-encoding"), header(&coded, "accept-ranges")), ("gzip", ""));
    let tag = header(&coded, "etag").to_owned();
    assert_eq!(decode("gzip", &bytes(coded).await), page.as_bytes());
    assert_eq!(asked("/static/page.html", &[("if-none-match", &tag)]).await.status(), 304);
    // What the client has a part of is compressed, and this is not.
    let part = asked("/static/page.html", &[("range", "bytes=0-2"), ("if-range", &tag)]).await;
    assert_eq!(part.status(), 200);
    let part = asked("/static/page.html", &[("range", "bytes=0-2")]).await;
    assert_eq!((part.status().as_u16(), header(&part, "content-encoding")), (206, ""));
    assert_eq!(text(part).await, "<p>");
    let once = asked("/static/coded.html", &[]).await;
    assert_eq!(header(&once, "content-encoding"), "gzip");
    assert_eq!(decode("gzip", &bytes(once).await), page.as_bytes());
    let streamed = asked("/static/large.txt", &[]).await;
    assert_eq!(header(&streamed, "content-encoding"), "gzip");
    assert_eq!(decode("gzip", &bytes(streamed).await), large);
}

#[tokio::test]
async fn long_files_are_read_while_they_are_sent() {
    let place = files();
    let long: Vec<u8> = (0..1_000_003_u32).map(|number| (number % 251) as u8).collect();
    let path = place.path().join("public/long.bin");
    write(&path, &long);
    let layer = layer(&place);
    let mut response = ask(&layer, get("/static/long.bin", &[])).await;
    assert_eq!(
        (response.body().size_hint().exact(), header(&response, "content-length")),
        (Some(1_000_003), "1000003")
    );
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() <= 256 * 1024, "bounded");
    let rest = bytes(response).await;
    assert!(first.iter().chain(&rest).eq(&long));
    let part = ask(&layer, get("/static/long.bin", &[("range", "bytes=300000-999999")])).await;
    assert_eq!(part.body().size_hint().exact(), Some(700_000));
    assert!(bytes(part).await[..] == long[300_000..1_000_000]);

    // What was announced cannot be sent any more, and nothing is made up.
    let mut response = ask(&layer, get("/static/long.bin", &[])).await;
    response.body_mut().frame().await.unwrap().unwrap();
    File::options().write(true).open(&path).unwrap().set_len(400_000).unwrap();
    let error = response.body_mut().collect().await.unwrap_err();
    assert_eq!(error.to_string(), "the file became shorter while it was sent");
    // One that grows is sent as long as it was.
    let response = ask(&layer, get("/static/long.bin", &[])).await;
    File::options().write(true).open(&path).unwrap().set_len(500_000).unwrap();
    assert_eq!(bytes(response).await.len(), 400_000);
    // One that is replaced is sent as it was.
    let response = ask(&layer, get("/static/long.bin", &[])).await;
    fs::remove_file(&path).unwrap();
    assert_eq!(bytes(response).await.len(), 500_000);
}
