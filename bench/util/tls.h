
/*
 * TLS below a client: OpenSSL, without verification.  The handshake blocks:
 * measuring begins after it.
 */


#ifndef BENCH_TLS_H
#define BENCH_TLS_H


#include "lib/client.h"


extern const client_io_t  tls_io;


#endif /* BENCH_TLS_H */
