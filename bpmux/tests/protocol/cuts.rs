//! What happens while a chunk is only there in part.

use bpmux::{Kind, What};

use crate::support::{End, chunk, whole};

#[test]
fn what_follows_the_response_in_its_chunk_means_no_half_that_took_its_place() {
    let mut end = End::new();
    let request = end.opens(Kind::OutRequest, 0);
    let id = end.link.id(request).unwrap();
    let response = chunk(Kind::InRequest, id).payload(b"").credit(5).ping().bytes();
    // The credit is cut off; meanwhile the ack is written and the slot is taken by another half.
    assert_eq!(end.feed(&response[..3]), [whole(request, What::Message, b"")]);
    assert_eq!(end.flush(), chunk(Kind::OutRequest, id).ack_end().bytes());
    let sink = end.opens(Kind::OutSink, 0);
    assert_eq!(end.feed(&response[3..]), []);
    assert_eq!(end.link.may_send(sink), 0);
}

#[test]
fn what_may_come_counts_what_is_announced_and_paid_for() {
    let mut end = End::new();
    let sink = end.peer_opens(&chunk(Kind::OutSink, 1).payload(b"").bytes());
    end.link.grant(sink, 100);
    let message = chunk(Kind::OutSink, 1).payload([7; 60]).end([8; 10]).bytes();
    // A head of three bytes, and twenty of the payload.
    end.feed(&message[..23]);
    assert_eq!((end.link.may_receive(sink), end.link.may_come(sink)), (40, 80));
    end.feed(&message[23..message.len() - 1]);
    assert_eq!((end.link.may_receive(sink), end.link.may_come(sink)), (30, 31));
    end.feed(&message[message.len() - 1..]);
    assert_eq!(end.link.may_come(sink), 30);

    let other = end.peer_opens(&chunk(Kind::OutSink, 2).payload(b"").bytes());
    end.link.grant(other, 100);
    end.try_feed(&chunk(Kind::OutSink, 2).payload([7; 101]).bytes()).unwrap_err();
    assert_eq!(end.link.may_come(other), 100, "what is not paid for does not count");
}
