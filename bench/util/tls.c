
#include "tls.h"

#include <fcntl.h>

#include <openssl/ssl.h>


static SSL_CTX  *tls_ctx;


static int
tls_open(client_t *c)
{
    int   flags;
    SSL  *ssl;

    if (tls_ctx == NULL) {
        tls_ctx = SSL_CTX_new(TLS_client_method());
        if (tls_ctx == NULL) {
            die("SSL_CTX_new() failed");
        }

        SSL_CTX_set_mode(tls_ctx, SSL_MODE_RELEASE_BUFFERS);
    }

    ssl = SSL_new(tls_ctx);
    if (ssl == NULL || SSL_set_fd(ssl, c->fd) != 1) {
        die("SSL_new() failed");
    }

    flags = fcntl(c->fd, F_GETFL);

    fcntl(c->fd, F_SETFL, flags & ~O_NONBLOCK);

    if (SSL_connect(ssl) != 1) {
        SSL_free(ssl);
        return -1;
    }

    fcntl(c->fd, F_SETFL, flags);
    c->io = ssl;

    return 0;
}


static ssize_t
tls_recv(client_t *c, void *buf, size_t size)
{
    int   n;
    SSL  *ssl;

    ssl = c->io;
    n = SSL_read(ssl, buf, size);

    if (n > 0) {
        return n;
    }

    switch (SSL_get_error(ssl, n)) {
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;

    case SSL_ERROR_ZERO_RETURN:
        return 0;
    }

    errno = ECONNRESET;
    return -1;
}


static ssize_t
tls_send(client_t *c, const void *data, size_t len)
{
    return SSL_write(c->io, data, len);
}


static int
tls_pending(client_t *c)
{
    return SSL_pending(c->io) > 0;
}


static void
tls_close(client_t *c)
{
    SSL_free(c->io);
    c->io = NULL;
}


const client_io_t  tls_io = {
    tls_open, tls_recv, tls_send, tls_pending, tls_close
};
