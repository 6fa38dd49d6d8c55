//! A plugin that sends back all it gets, and a client that uses it.
//!
//! Start a relay (`minbusd`), then `cargo run -p minbus --example echo` as the plugin, and with words as arguments as
//! the client: `cargo run -p minbus --example echo -- hello there`.

use std::env;
use std::error::Error;

use minbus::{Bus, Channel, Receiver, RecvError, escape};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.is_empty() { serve().await } else { ask(words).await }
}

/// Accepts everybody, each in a task of its own.
async fn serve() -> Result<(), Box<dyn Error>> {
    let bus = Bus::register("echo", 1).await?;
    eprintln!("echo is on the bus");
    loop {
        let incoming = bus.incoming().await?;
        let peer = incoming.peer().clone();
        let channel = incoming.accept();
        tokio::spawn(async move {
            match echo(channel).await {
                Ok(count) => eprintln!("{peer}: {count} messages"),
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
    }
}

/// Sends back message by message, and at the end what the other side said at the end.
async fn echo(mut channel: Channel) -> Result<u64, Box<dyn Error>> {
    let mut count = 0;
    while let Some(message) = channel.recv().await? {
        channel.send(message).await?;
        count += 1;
    }
    channel.close(channel.close_payload().unwrap_or_default()).await?;
    Ok(count)
}

/// Says the words and prints what comes back, at the same time: when the one fails, the other goes on.
async fn ask(words: Vec<String>) -> Result<(), Box<dyn Error>> {
    let bus = Bus::client().await?;
    let (mut sender, mut receiver) = bus.open("echo").await?.split();
    let saying = async {
        for word in words {
            sender.send(word).await?;
        }
        sender.close("bye").await
    };
    let (said, heard) = tokio::join!(saying, print(&mut receiver));
    if let Some(bye) = receiver.close_payload() {
        println!("it closed with \"{}\"", escape(&bye));
    }
    bus.close().await?;
    heard?;
    Ok(said?)
}

async fn print(receiver: &mut Receiver) -> Result<(), RecvError> {
    while let Some(message) = receiver.recv().await? {
        println!("{}", escape(&message));
    }
    Ok(())
}
