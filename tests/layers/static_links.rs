//! Files of a directory: links, and what is no file.
#![cfg(unix)]

use std::fs;

use ziggurat::layers::StaticLayer;

use crate::static_files::{ask, files, layer};
use crate::support::{get, text};

#[tokio::test]
async fn links_lead_nowhere_else() {
    use std::os::unix::fs::symlink;
    let place = files();
    let public = place.path().join("public");
    symlink("../secret.txt", public.join("out.txt")).unwrap();
    symlink(place.path().join("secret.txt"), public.join("whole.txt")).unwrap();
    symlink("..", public.join("up")).unwrap();
    symlink("self", public.join("self")).unwrap();
    symlink("docs/index.html", public.join("in.html")).unwrap();
    let strict = layer(&place);
    for path in ["out.txt", "whole.txt", "up/secret.txt", "self", "up/public/ten.txt"] {
        assert_eq!(ask(&strict, get(&format!("/static/{path}"), &[])).await.status(), 404, "{path}");
    }
    assert_eq!(text(ask(&strict, get("/static/in.html", &[])).await).await, "docs");
    let following = layer(&place).follow_symlinks(true);
    for path in ["out.txt", "whole.txt", "up/secret.txt"] {
        assert_eq!(text(ask(&following, get(&format!("/static/{path}"), &[])).await).await, "secret", "{path}");
    }
    assert_eq!(ask(&following, get("/static/self", &[])).await.status(), 404);
    // The directory itself may be one, which leads to other files later.
    let current = place.path().join("current");
    symlink("public", &current).unwrap();
    let served = StaticLayer::new("/", &current).unwrap();
    assert_eq!(text(ask(&served, get("/docs/", &[])).await).await, "docs");
    fs::remove_file(&current).unwrap();
    symlink("public/docs", &current).unwrap();
    assert_eq!(text(ask(&served, get("/", &[])).await).await, "docs");
    fs::remove_file(&current).unwrap();
    assert_eq!(ask(&served, get("/", &[])).await.status(), 404);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn links_that_come_and_go_lead_nowhere_else() {
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    let place = files();
    let public = place.path().join("public");
    fs::create_dir(public.join("real")).unwrap();
    fs::write(public.join("real/secret.txt"), "harmless").unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let (swaps, end) = (public.clone(), ended.clone());
    // The directory in the middle of a path is now one, and now a link to what is beside.
    let swapping = std::thread::spawn(move || {
        symlink("..", swaps.join("link")).unwrap();
        while !end.load(Ordering::Relaxed) {
            for (from, to) in [("real", "turn"), ("turn", "real"), ("link", "turn"), ("turn", "link")] {
                fs::rename(swaps.join(from), swaps.join(to)).unwrap();
            }
        }
    });
    let layer = StaticLayer::new("/", &public).unwrap();
    let (mut found, mut lacking) = (0, 0);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(500) || (found < 20 || lacking < 20) && begun.elapsed().as_secs() < 20
    {
        let answer = ask(&layer, get("/turn/secret.txt", &[])).await;
        match answer.status().as_u16() {
            200 => {
                assert_eq!(text(answer).await, "harmless");
                found += 1;
            }
            404 => lacking += 1,
            other => panic!("{other}"),
        }
    }
    ended.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert!(found > 0 && lacking > 0, "{found} {lacking}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nobody_waits_for_what_is_no_file() {
    let place = files();
    let pipe = place.path().join("public/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(place.path().join("public/socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.path().join("public/zero")).unwrap();
    for layer in [layer(&place), layer(&place).follow_symlinks(true)] {
        for name in ["pipe", "socket", "zero"] {
            let request = get(&format!("/static/{name}"), &[]);
            let answer = tokio::time::timeout(std::time::Duration::from_secs(20), ask(&layer, request)).await.unwrap();
            assert_eq!(answer.status(), 404, "{name}");
        }
    }
}
