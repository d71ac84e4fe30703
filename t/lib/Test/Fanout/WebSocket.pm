package Test::Fanout::WebSocket;

# A websocket client that can also break every rule: frames are built as
# told, and any bytes can be written in any pieces.

use strict;
use warnings;

use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);

use constant {
    TEXT => 1, BINARY => 2, CLOSE => 8, PING => 9, PONG => 10,
};

our $TIMEOUT = 30;

# of all TLS clients: to make one reads the system's certificates
my $tls;


# connect to a port, speak no HTTP yet
#
#     port, host     where
#     ssl            over TLS, nothing verified
#     rcvbuf         bytes of the receive buffer
#     timeout        of every read, in seconds
sub open {
    my ($class, %o) = @_;

    my $host = $o{host} || '127.0.0.1';
    my $socket;

    if ($o{rcvbuf}) {

        # a small window must be known before the connection is made

        socket($socket, Socket::PF_INET(), Socket::SOCK_STREAM(), 0)
            or die "socket: $!\n";
        setsockopt($socket, SOL_SOCKET, SO_RCVBUF, $o{rcvbuf});
        CORE::connect($socket, Socket::pack_sockaddr_in($o{port},
                                        Socket::inet_aton($host)))
            or die "connect to $host:$o{port}: $!\n";

    } else {
        $socket = IO::Socket::INET->new(PeerAddr => $host,
                                        PeerPort => $o{port},
                                        Proto => 'tcp',
                                        Timeout => 5)
            or die "connect to $host:$o{port}: $!\n";
    }

    setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, 1);

    if ($o{ssl}) {
        require IO::Socket::SSL;

        $tls ||= IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => 0);

        IO::Socket::SSL->start_SSL($socket, SSL_reuse_ctx => $tls)
            or die "TLS: " . IO::Socket::SSL::errstr() . "\n";
    }

    return bless {
        socket => $socket, buf => '', eof => 0, host => "$host:$o{port}",
        timeout => $o{timeout} || $TIMEOUT, pongs => 1,
    }, $class;
}


# open and shake hands
#
#     path           (/ws)
#     protocol       Sec-WebSocket-Protocol
#     headers        [name => value, ...] more of them
#     set            {name => value or undef} instead of the usual ones
#     method, http   GET, HTTP/1.1
#     trailing       bytes that go in the same segment
#
# The answer is in {status}, {headers} (names in lower case, values of the
# same name joined by a comma), {raw}; with another status than 101 also in
# {body}, which needs the server to close or to say a length.
sub connect {
    my ($class, %o) = @_;

    my $self = $class->open(%o);

    my $key = encode_base64(join('', map { chr int rand 256 } 1 .. 16), '');

    my %set = (
        'Host' => $self->{host},
        'Upgrade' => 'websocket',
        'Connection' => 'Upgrade',
        'Sec-WebSocket-Key' => $key,
        'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Protocol' => $o{protocol},
        %{ $o{set} || {} },
    );

    my @more = @{ $o{headers} || [] };
    my $request = join ' ', $o{method} || 'GET', $o{path} || '/ws',
                            $o{http} || 'HTTP/1.1';

    for my $name (sort keys %set) {
        $request .= "\r\n$name: $set{$name}" if defined $set{$name};
    }

    while (my ($name, $value) = splice @more, 0, 2) {
        $request .= "\r\n$name: $value";
    }

    $self->{key} = $key;
    $self->write("$request\r\n\r\n" . ($o{trailing} // ''));
    $self->read_response;

    return $self;
}


# the accept value that belongs to the key of this handshake
sub accept_value {
    my ($self) = @_;

    require Digest::SHA;

    return encode_base64(Digest::SHA::sha1($self->{key}
               . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'), '');
}


sub read_response {
    my ($self) = @_;

    while ($self->{buf} !~ /\r\n\r\n/) {
        $self->fill or die "closed before an answer: \"$self->{buf}\"\n";
    }

    $self->{buf} =~ s/^(.*?\r\n\r\n)//s;
    $self->{raw} = $1;

    my ($first, @lines) = split /\r\n/, $1;

    ($self->{status}) = $first =~ m{^HTTP/1\.[01] (\d{3})}
        or die "no HTTP answer: \"$first\"\n";

    my %headers;

    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;
        $name = lc $name;
        $headers{$name} = defined $headers{$name}
                          ? "$headers{$name}, $value" : $value;
    }

    $self->{headers} = \%headers;

    return if $self->{status} == 101;

    my $len = $headers{'content-length'};

    while (!defined $len || length $self->{buf} < $len) {
        $self->fill or last;
    }

    $self->{body} = $self->{buf};
}


# one read of the socket; false at its end, dies after the timeout
sub fill {
    my ($self, $timeout) = @_;

    return 0 if $self->{eof};

    my $socket = $self->{socket};
    my $until = time() + ($timeout // $self->{timeout});

    for ( ;; ) {
        my $pending = $socket->can('pending') ? $socket->pending : 0;

        if (!$pending) {
            my $left = $until - time();
            $left = 0 if $left < 0;

            my $rin = '';
            vec($rin, fileno($socket), 1) = 1;

            my $n = select($rin, undef, undef, $left);

            next if $n < 0 && $!{EINTR};
            die "nothing to read in time\n" if $n == 0;
        }

        my $n = sysread($socket, $self->{buf}, 65536, length $self->{buf});

        if (!defined $n) {
            next if $!{EINTR} || $!{EAGAIN};

            # a reset is an end too

            $self->{reset} = 1;
        }

        if (!$n) {
            $self->{eof} = 1;
            return 0;
        }

        return $n;
    }
}


# bytes, in pieces that end at the given places; each its own write, with
# TCP_NODELAY
sub write {
    my ($self, $bytes, @places) = @_;

    my $from = 0;

    for my $to (@places, length $bytes) {
        while ($from < $to) {
            my $n = syswrite($self->{socket}, $bytes, $to - $from, $from);

            if (!defined $n) {
                next if $!{EINTR};
                $self->{reset} = 1 if $!{ECONNRESET} || $!{EPIPE};
                return 0;
            }

            $from += $n;
        }
    }

    return 1;
}


# the bytes of a frame, right or wrong
#
#     opcode (1), fin (1), rsv (0 .. 7), payload
#     mask     four bytes, undef: not masked; default a random one
#     form     7, 16 or 64: how the length is written, not only the shortest
#     len      a length that lies
sub frame {
    my ($class, %o) = @_;

    my $payload = $o{payload} // '';
    my $len = $o{len} // length $payload;
    my $mask = exists $o{mask} ? $o{mask} : pack 'N', int rand 2 ** 32;
    my $form = $o{form} // ($len < 126 ? 7 : $len < 65536 ? 16 : 64);

    my $bytes = chr((($o{fin} // 1) << 7) | (($o{rsv} // 0) << 4)
                    | ($o{opcode} // TEXT));

    my $bit = defined $mask ? 0x80 : 0;

    $bytes .= $form == 7 ? chr($bit | $len)
              : $form == 16 ? chr($bit | 126) . pack('n', $len)
              : chr($bit | 127) . pack('Q>', $len);

    if (defined $mask) {
        my $pad = $mask x (length($payload) / 4 + 1);
        $bytes .= $mask;
        $payload ^= substr $pad, 0, length $payload;
    }

    return $bytes . $payload;
}


sub send_frame {
    my ($self, %o) = @_;

    return $self->write($self->frame(%o));
}


sub text {
    my ($self, $payload) = @_;

    return $self->send_frame(opcode => TEXT, payload => $payload);
}


sub binary {
    my ($self, $payload) = @_;

    return $self->send_frame(opcode => BINARY, payload => $payload);
}


sub ping {
    my ($self, $payload) = @_;

    return $self->send_frame(opcode => PING, payload => $payload);
}


sub send_close {
    my ($self, $code, $reason) = @_;

    return $self->send_frame(opcode => CLOSE,
               payload => defined $code
                          ? pack('n', $code) . ($reason // '') : '');
}


# the next frame {opcode, fin, rsv, masked, payload}; undef at the end
sub read_frame {
    my ($self) = @_;

    for ( ;; ) {
        my $frame = $self->take_frame;

        return $frame if $frame;
        return if !$self->fill;
    }
}


# a frame that has come whole already, or undef
sub take_frame {
    my ($self) = @_;

    my $have = length $self->{buf};

    return if $have < 2;

    my ($first, $second) = unpack 'CC', $self->{buf};
    my $len = $second & 0x7f;
    my $head = 2;

    if ($len == 126) {
        $head = 4;
        return if $have < $head;
        $len = unpack 'x2n', $self->{buf};

    } elsif ($len == 127) {
        $head = 10;
        return if $have < $head;
        $len = unpack 'x2Q>', $self->{buf};
    }

    $head += 4 if $second & 0x80;

    return if $have < $head + $len;

    my $payload = substr $self->{buf}, $head, $len;
    substr($self->{buf}, 0, $head + $len) = '';

    return {
        fin => $first >> 7, rsv => ($first >> 4) & 7,
        opcode => $first & 15, masked => $second >> 7,
        payload => $payload,
    };
}


# the next data or Close frame; pings are answered on the way (unless
# {pongs} is 0), pongs left out
sub read_message {
    my ($self) = @_;

    while (my $frame = $self->read_frame) {

        if ($frame->{opcode} == PING) {
            $self->send_frame(opcode => PONG,
                              payload => $frame->{payload})
                if $self->{pongs};
            next;
        }

        return $frame if $frame->{opcode} != PONG;
    }

    return;
}


# key and value of a record of the bare dialect; dies on anything else
sub read_pair {
    my ($self) = @_;

    my @pair;

    while (@pair < 2) {
        my $frame = $self->read_message or die "closed, no record\n";

        die "no record, but " . describe($frame) . "\n"
            if $frame->{opcode} != BINARY || !$frame->{fin}
               || $frame->{rsv} || $frame->{masked};

        push @pair, $frame->{payload};
    }

    return @pair;
}


# "text: ..." and so on, for comparisons and messages
sub describe {
    my ($frame) = @_;

    return 'end' if !$frame;

    my $payload = $frame->{payload};
    my $op = $frame->{opcode};

    if ($op == CLOSE) {
        return 'close' if length $payload < 2;

        my ($code, $reason) = unpack 'na*', $payload;
        return length $reason ? "close $code $reason" : "close $code";
    }

    my %names = (0, 'continuation', 1, 'text', 2, 'binary', 9, 'ping',
                 10, 'pong');

    return ($names{$op} // "opcode $op") . ": $payload";
}


# the next message in those words
sub read_described {
    my ($self) = @_;

    return describe(scalar $self->read_message);
}


# code and reason of the Close frame, whatever comes before it; () if the
# connection ends without one
sub read_close {
    my ($self) = @_;

    while (my $frame = $self->read_message) {
        next if $frame->{opcode} != CLOSE;

        return unpack 'na*', $frame->{payload}
            if length $frame->{payload} >= 2;

        return (1005, '');
    }

    return;
}


# true if the server closes the connection with nothing but control frames
# before
sub read_end {
    my ($self) = @_;

    while (my $frame = $self->read_frame) {
        return 0 if $frame->{opcode} < CLOSE;
    }

    return 1;
}


# a decent goodbye: Close, the Close that answers, the end
sub close {
    my ($self, $code, $reason) = @_;

    $self->send_close($code // 1000, $reason);

    my @answer = $self->read_close;
    my $end = $self->read_end;

    $self->abort;

    return @answer && $end ? $answer[0] : undef;
}


# no goodbye
sub abort {
    my ($self) = @_;

    CORE::close(delete $self->{socket}) if $self->{socket};
}


1;
