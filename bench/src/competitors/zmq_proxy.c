/* The proxy of libzmq between publishers and subscribers, with its own zmq_proxy. Takes the two addresses. */
#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    int one = 1;
    if (argc != 3) {
        fprintf(stderr, "usage: zmq_proxy PUBLISHERS SUBSCRIBERS\n");
        return 2;
    }
    void *context = zmq_ctx_new();
    void *publishers = zmq_socket(context, ZMQ_XSUB);
    void *subscribers = zmq_socket(context, ZMQ_XPUB);
    /* Waits for a subscriber that is behind, rather than drop what is for it. */
    zmq_setsockopt(subscribers, ZMQ_XPUB_NODROP, &one, sizeof one);
    if (zmq_bind(publishers, argv[1]) || zmq_bind(subscribers, argv[2])) {
        fprintf(stderr, "zmq_proxy: %s\n", zmq_strerror(zmq_errno()));
        return 1;
    }
    zmq_proxy(publishers, subscribers, NULL);
    return 0;
}
