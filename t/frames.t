#!/usr/bin/perl

# Frames as RFC 6455, sections 5 to 8, has them: what comes back, and with
# which code a connection is closed that breaks a rule.  The cases are those
# of the Autobahn test suite, by their kind.

use strict;
use warnings;

use Test::More;
use Test::Fanout;

my $t = Test::Fanout->new(<<'EOC');
events {}

http {
    fanout_zone  main 16m;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket echo; }
        location /small  { fanout_websocket echo; fanout_frame_max 100; }
        location /large  { fanout_websocket echo; fanout_frame_max 2m; }
        location /status { fanout_status; }
    }
}
EOC

$t->start;

my $class = 'Test::Fanout::WebSocket';
my $ws;


sub f { $class->frame(@_) }
sub part { f(opcode => $_[0], fin => $_[1], payload => $_[2]) }


# these bytes bring those frames, then a good end
sub good {
    my ($name, $bytes, @want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $c = $t->ws('/ws');
    my @got;

    $c->write($bytes);
    push @got, $class->can('describe')->($c->read_frame) for @want;

    is_deeply(\@got, \@want, $name);
    is($c->close, 1000, "$name: end");
}


# these bytes bring those frames, a Close with that code, and the end
sub bad {
    my ($name, $code, $bytes, @want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $c = $t->ws(ref $name ? $name->[0] : '/ws');
    my @got;

    $c->write($bytes);
    push @got, $class->can('describe')->($c->read_frame)
        for @want, $code;

    like(join(', ', @got), qr/^\Q@{[join ', ', @want, "close $code"]}\E/,
         ref $name ? "@$name" : $name);
    ok($c->read_end, '... and the end');
    $c->abort;
}


# sizes at which the length is written in another way

for my $size (0, 1, 124 .. 128, 65534 .. 65536) {
    for my $opcode (1, 2) {
        my $data = join '', map { chr(32 + $_ % 90) } 1 .. $size;

        $ws = $t->ws('/ws');
        $ws->send_frame(opcode => $opcode, payload => $data);

        my $frame = $ws->read_frame;

        ok($frame->{payload} eq $data && $frame->{opcode} == $opcode
           && $frame->{fin} && !$frame->{rsv} && !$frame->{masked},
           "$size bytes, opcode $opcode");
        is($ws->close, 1000, 'end');
    }
}

# fragments, and what may come between them

good('two fragments', part(1, 0, 'ab') . part(0, 1, 'cd'), 'text: abcd');
good('empty fragments', part(2, 0, '') . part(0, 0, '') . part(0, 0, 'x')
                        . part(0, 1, ''), 'binary: x');
good('nothing, in pieces', part(1, 0, '') . part(0, 1, ''), 'text: ');
good('a ping inside', part(1, 0, 'ab') . part(9, 1, 'p') . part(10, 1, 'q')
                      . part(0, 0, 'c') . part(9, 1, '') . part(0, 1, 'd'),
     'pong: p', 'pong: ', 'text: abcd');
good('a character over fragments', part(1, 0, "\xce") . part(9, 1, "\xff")
                                   . part(0, 1, "\xba"),
     "pong: \xff", "text: \xce\xba");
good('10,000 fragments',
     part(2, 0, '') . part(0, 0, 'z') x 10000 . part(0, 1, ''),
     'binary: ' . 'z' x 10000);

bad('a continuation of nothing', 1002, part(0, 1, 'x'));
bad('another one after the end', 1002,
    part(1, 0, 'a') . part(0, 1, 'b') . part(0, 1, 'c'), 'text: ab');
bad('a message inside a message', 1002, part(1, 0, 'a') . part(1, 1, 'b'));
bad('a fragmented ping', 1002, part(9, 0, 'a') . part(0, 1, 'b'));
bad('a fragmented Close', 1002, part(8, 0, pack 'n', 1000));

# the rest of the header

bad("opcode $_", 1002, f(payload => 'a') . f(opcode => $_, payload => 'x'),
    'text: a')
    for 3 .. 7, 11 .. 15;
bad("reserved bits $_", 1002, f(rsv => $_, payload => 'x')) for 1 .. 7;
bad("reserved bits of a ping", 1002, f(opcode => 9, rsv => 4));
bad('not masked', 1002, f(payload => 'x', mask => undef));
bad('a ping that is not masked', 1002, f(opcode => 9, mask => undef));
bad('a length that needs no 2 bytes', 1002, f(payload => 'x', form => 16));
bad('a length that needs no 8 bytes', 1002, f(payload => 'x', form => 64));
bad('a negative length', 1002, "\x82\xff\x80" . "\0" x 7 . 'mask');
bad('a ping of 126 bytes', 1002, f(opcode => 9, payload => 'x' x 126));
good('a mask of zeros', f(payload => 'x', mask => "\0" x 4), 'text: x');

# fanout_frame_max holds for the message, and as soon as it can be known

bad(['/small', 'one byte too much'], 1009,
    f(payload => 'x' x 100) . f(payload => '', len => 101, form => 7),
    'text: ' . 'x' x 100);
bad(['/small', 'fragments'], 1009, part(1, 0, 'x' x 60)
                                   . substr(part(0, 1, 'x' x 41), 0, 2));
bad(['/small', 'endless empty ones are none'], 1009,
    part(1, 0, '') x 1 . part(0, 0, '') x 999 . part(0, 1, 'x' x 101));
bad(['/ws', 'exabytes'], 1009, "\x82\xff\x7f");
bad(['/ws', 'one over the default'], 1009,
    f(len => 65537, form => 64, payload => ''));

# ping, pong

good('pings', join('', map { part(9, 1, $_ x $_) } 0 .. 9),
     map { 'pong: ' . $_ x $_ } 0 .. 9);
good('a ping of 125 bytes', part(9, 1, "\xfe" x 125), 'pong: ' . "\xfe" x 125);
good('unasked pongs', part(10, 1, '') . part(10, 1, 'x') . part(1, 1, 'a'),
     'text: a');

# Close

good('a Close', '');
bad("code $_", $_, part(8, 1, pack 'n', $_))
    for 1000 .. 1003, 1007 .. 1014, 3000, 3999, 4000, 4999;
bad("no code, $_", 1002, part(8, 1, pack 'n', $_))
    for 0, 999, 1004 .. 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535;
bad('half a code', 1002, part(8, 1, "\x03"));
bad('a reason', 1001, part(8, 1, pack('n', 1001) . 'because ' x 15));
bad('a reason too long', 1002, part(8, 1, pack('n', 1000) . 'x' x 124));
bad('a reason that is no text', 1007, part(8, 1, pack('n', 1000) . "a\xce"));
bad('nothing is answered after it', 1000,
    part(8, 1, pack 'n', 1000) . part(9, 1, 'p') . part(1, 1, 'x'));
bad('an unfinished message before it', 1000,
    part(1, 0, 'x') . part(8, 1, pack 'n', 1000));

$ws = $t->ws('/ws');
$ws->send_close;
is($class->can('describe')->($ws->read_frame), 'close', 'no code, none back');
ok($ws->read_end, 'and the end');

# text is UTF-8

for my $hex (qw(
    ceba e1bdb9 cf83cebcceb5 ed9fbf ee8080 efbfbd efbfbf f0908080 f48fbfbf
    00 7f c280 dfbf e0a080 f0908d88 efbfbe f09fbfbe))
{
    my $text = pack 'H*', $hex;
    good("UTF-8 $hex", part(1, 1, "a${text}b"), "text: a${text}b");
}

for my $hex (qw(
    80 bf c0af c080 c1bf c2 e0 e080af e09fbf e28028 eda080 edbfbf edb080
    f0 f08080af f08fbfbf f4908080 f5 f7bfbfbf f888808080 fc8480808080 fe ff
    cebaed80))
{
    my $text = pack 'H*', $hex;
    bad("no UTF-8 $hex", 1007, part(1, 1, $text));
    good("but binary $hex", part(2, 1, $text), "binary: $text");
}

bad('a character cut by the end', 1007,
    part(1, 0, "\xce") . part(0, 0, '') . part(0, 1, ''));
bad('at once, in a long frame', 1007,
    substr(f(payload => "abc\xff" . 'x' x 1000), 0, 12));
bad('at once, in a first fragment', 1007,
    substr(part(1, 0, "\xed\xa0" . 'x' x 60), 0, 8));
good('the last message left no trace', part(1, 1, "\xce\xba") x 3,
     ("text: \xce\xba") x 3);

# cut at each byte

my $all = part(1, 0, 'Hel') . part(9, 1, 'ping') . part(0, 1, "l\xc3\xb6")
          . f(opcode => 2, payload => 'b' x 130)
          . f(opcode => 2, payload => 'c' x 65536) . part(1, 1, '');
my @want = ('pong: ping', "text: Hell\xc3\xb6", 'binary: ' . 'b' x 130,
            'binary: ' . 'c' x 65536, 'text: ');

for my $place (1 .. 60, 160 .. 190) {
    $ws = $t->ws('/ws');
    $ws->write($all, $place);
    is_deeply([map { $class->can('describe')->($ws->read_frame) } @want],
              \@want, "cut at $place");
    $ws->abort;
}

$ws = $t->ws('/ws');
$ws->write($all, 1 .. 400);
is_deeply([map { $class->can('describe')->($ws->read_frame) } @want], \@want,
          'byte by byte');
is($ws->close, 1000, 'end');

# large messages

for my $size (65537, 1 << 20, 2 << 20) {
    my $data = 'abcdefgh' x ($size / 8) . 'x' x ($size % 8);

    $ws = $t->ws('/large');
    $ws->binary($data);
    ok($ws->read_message->{payload} eq $data, "$size bytes");
    $ws->write(part(1, 0, substr $data, 0, 70000)
               . join('', map { part(0, 0, $_) }
                          unpack '(a50000)*', substr $data, 70000)
               . part(0, 1, '')) if $size > 70000;
    ok($ws->read_message->{payload} eq $data, "$size bytes in fragments")
        if $size > 70000;
    is($ws->close, 1000, 'end');
}

bad(['/large', 'one byte more'], 1009,
    f(len => (2 << 20) + 1, form => 64, payload => ''));

wait_for(sub { $t->status->{total}{sessions} == 0 }, 10, 'no session');
$t->stop;

done_testing();
