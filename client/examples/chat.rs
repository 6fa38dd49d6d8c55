//! A chat without a server: each member is a plugin `chat.NAME`, finds the others by a watch, and has a channel with
//! each of them.
//!
//! Start a relay (`minbusd`), then `cargo run -p minbus --example chat -- alice` and the same for others. What you type
//! goes to all of them.

use std::collections::HashMap;
use std::env;
use std::error::Error;

use minbus::{Bus, Channel, Name, Plugin, Presence, Sender, escape};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::mpsc;

/// What members are called on the bus.
const PREFIX: &[u8] = b"chat.";

/// What the tasks tell the program.
enum News {
    Here(Name, Sender),
    Gone(Name),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(me) = env::args().nth(1) else { return Err("say who you are: chat NAME".into()) };
    let me = Name::new([PREFIX, me.as_bytes()].concat())?;
    let bus = Bus::register(&me, 1).await?;
    let mut watch = bus.watch().await?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut members = HashMap::new();
    let (news, mut incoming_news) = mpsc::channel(16);
    loop {
        tokio::select! {
            presence = watch.next() => {
                let plugins = match presence.ok_or("the bus has ended the watch")?? {
                    Presence::Present(plugins) => plugins,
                    Presence::Joined(plugin) => vec![plugin],
                    Presence::Left(_) => continue,
                };
                // Of two members, the one whose name comes later calls the other: so they have one channel.
                for Plugin { name, .. } in plugins {
                    if name.as_bytes().starts_with(PREFIX) && name < me {
                        tokio::spawn(call(bus.clone(), name, news.clone()));
                    }
                }
            }
            incoming = bus.incoming() => {
                let incoming = incoming?;
                let name = incoming.peer().name.clone();
                if name.as_bytes().starts_with(PREFIX) {
                    tokio::spawn(talk(name, incoming.accept(), news.clone()));
                }
            }
            Some(item) = incoming_news.recv() => match item {
                News::Here(name, sender) => {
                    println!("* {name} is here");
                    members.insert(name, sender);
                }
                News::Gone(name) => {
                    println!("* {name} has left");
                    members.remove(&name);
                }
            },
            line = lines.next_line() => match line? {
                Some(line) => {
                    for sender in members.values_mut() {
                        // Of one who leaves in this moment we shall hear.
                        let _ = sender.send(line.clone()).await;
                    }
                }
                None => break,
            },
        }
    }
    members.clear();
    bus.close().await?;
    Ok(())
}

/// Opens a channel to a member.
async fn call(bus: Bus, name: Name, news: mpsc::Sender<News>) {
    match bus.open(&name).await {
        Ok(channel) => talk(name, channel, news).await,
        Err(error) => eprintln!("* {error}"),
    }
}

/// Prints what a member says, until it leaves.
async fn talk(name: Name, channel: Channel, news: mpsc::Sender<News>) {
    let (sender, mut receiver) = channel.split();
    // Where the program is ending nobody hears the news.
    let _ = news.send(News::Here(name.clone(), sender)).await;
    while let Ok(Some(line)) = receiver.recv().await {
        println!("{name}: {}", escape(&line));
    }
    let _ = news.send(News::Gone(name)).await;
}
