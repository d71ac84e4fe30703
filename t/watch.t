#!/usr/bin/perl
# once

# The judge of streams is judged: a server that lies is found out, and one
# that does not is not accused.

use strict;
use warnings;

use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use Test::More;
use Test::Fanout;
use Test::Fanout::Process;

use constant ACCEPT => 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

my $dir = tempdir(CLEANUP => 1);

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
                                   Proto => 'tcp', Timeout => 20)
    or die "listen: $!\n";


sub frame {
    my ($opcode, $bytes) = @_;

    return pack 'CCa*', 0x80 | $opcode, length $bytes, $bytes;
}


# a record: number of its key, partition, number there, key
sub r {
    my ($seq, $partition, $pseq, $key) = @_;

    return frame(2, $key // 'key-1')
           . frame(2, "$seq 1000000000 $partition $pseq xx");
}


sub text { frame(1, $_[0]) }
sub end { frame(8, pack 'na*', $_[0], 'end') }


sub accepted {
    my $c = $listen->accept or die "nobody comes\n";
    my $buf = '';

    while ($buf !~ /\r\n\r\n/) {
        sysread $c, $buf, 4096, length $buf or die "no request\n";
    }

    return $c;
}


# what wswatch makes of a stream: its figures, and the report's lines
sub watched {
    my ($filter, $stream, %o) = @_;

    my $watch = Test::Fanout::Process->new(
        cmd => [util('wswatch'), '--port', $listen->sockport, '--filter',
                $filter, '--report', "$dir/report", '--keys', 10,
                '--name', 'test'],
        in => 1);

    my $c = accepted();

    if ($o{refuse}) {
        syswrite $c, "HTTP/1.1 503 Busy\r\n\r\n";

    } else {
        syswrite $c, "HTTP/1.1 101 Switching Protocols\r\nWorker: 77\r\n"
                     . 'Sec-WebSocket-Accept: ' . ACCEPT . "\r\n\r\n"
                     . text("what topic/key do you want?\n");
        sysread $c, my $reply, 4096 or die "no reply\n";
        syswrite $c, $stream;
        setsockopt $c, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0 if $o{reset};

        # the reset would take what is not read yet along

        select undef, undef, undef, 0.2 if $o{reset};
    }

    close $c;

    # that one is over: it comes again

    $c = accepted();
    $watch->say('stop');

    my $figures = Test::Fanout->figures($watch, 20);

    open my $fh, '<', "$dir/report" or die "$dir/report: $!\n";
    my @report = map { decode_json($_) } <$fh>;

    return ($figures, @report);
}


# NAME, FILTER, STREAM, {kind => count}, how it ended, [fields of the first
# finding]
sub is_found {
    my ($name, $filter, $stream, $want, $how, %fields) = @_;

    my ($figures, @report) = watched($filter, $stream,
                                     reset => $how eq 'reset');

    my %found = map { $_ => $figures->{$_} }
                grep { $figures->{$_} }
                qw(lost missed doubled disorder foreign aborted torn broken);

    is_deeply(\%found, $want, $name) or diag(explain($figures, \@report));
    is_deeply($figures->{ends}, { $how => 1 }, "$name: the end");

    my @bad = grep { $_ ne 'missed' } keys %$want;
    is($figures->{exit} ? 1 : 0, @bad ? 1 : 0, "$name: the exit code");

    return if !%fields;

    my ($first) = @report;

    is_deeply({ map { $_ => $first->{$_} } keys %fields }, \%fields,
              "$name: the details") or diag(explain($first));
}


is_found('all is well', 'topic/key-1', r(5, 0, 9) . r(6, 0, 11) . r(7, 0, 12),
         {}, 'eof', kind => 'end', how => 'eof', worker => 77,
         received => 3, marks => [['key-1', 5, 7, 0]], group => 'test');

is_found('lost', 'topic/key-1', r(5, 3, 9) . r(9, 3, 14), { lost => 3 },
         'eof', kind => 'lost', by => 'key', from => 6, to => 9,
         key => 'key-1', partition => 3, pseq => 14, seq => 9, session => 0,
         life => 0);

is_found('doubled', 'topic/key-1', r(5, 0, 9) . r(5, 0, 9) . r(6, 0, 10),
         { doubled => 1 }, 'eof', kind => 'doubled', seq => 5, pseq => 9);

is_found('swapped', 'topic/key-1', r(5, 0, 1) . r(7, 0, 3) . r(6, 0, 2),
         { lost => 1, disorder => 1 }, 'eof');

is_found('swapped keys', 'topic/key-*',
         r(5, 0, 2, 'key-1') . r(5, 0, 1, 'key-2'), { disorder => 1 }, 'eof',
         kind => 'disorder', key => 'key-2');

is_found('foreign', 'topic/key-1', r(5, 0, 1) . r(1, 0, 2, 'key-2'),
         { foreign => 1 }, 'eof', kind => 'foreign');

is_found('no number', 'topic/key-1',
         frame(2, 'key-1') . frame(2, 'hello'), { foreign => 1 }, 'eof');

is_found('aborted', 'topic/key-1',
         frame(2, 'key-1') . frame(2, 'aborted 1'), { aborted => 1 }, 'eof');

is_found('torn', 'topic/key-1',
         frame(2, 'key-1') . text("gap\n") . frame(2, '1 1 1 1 '),
         { torn => 1 }, 'eof');

# a whole topic, by partition: two are never confused

is_found('a whole topic', 'topic',
         r(1, 0, 1, 'key-1') . r(8, 1, 1, 'key-2') . r(2, 0, 2, 'key-1')
         . r(4, 0, 3, 'key-3') . r(5, 1, 2, 'key-3'), {}, 'eof',
         marks => [['partition-0', 1, 3, 0], ['partition-1', 1, 2, 0]]);

is_found('lost in a whole topic', 'topic',
         r(1, 0, 1, 'key-1') . r(1, 1, 1, 'key-2') . r(1, 0, 4, 'key-3'),
         { lost => 2 }, 'eof', by => 'partition', partition => 0, from => 2,
         to => 4);

# a notice excuses what is between, and nothing else

is_found('missed', 'topic/key-1', r(5, 0, 1) . text("gap\n") . r(8, 0, 4),
         { missed => 2 }, 'eof', kind => 'missed', from => 6, to => 8,
         uncounted => 1, counted => 0);

is_found('counted', 'topic/key-1', r(5, 0, 1) . text("gap 2\n") . r(8, 0, 4),
         { missed => 2 }, 'eof', uncounted => 0, counted => 2);

is_found('nothing missed', 'topic/key-1',
         r(5, 0, 1) . text("gap\n") . r(6, 0, 4), {}, 'eof');

is_found('lost behind a gap', 'topic/key-1',
         r(5, 0, 1) . text("gap\n") . r(6, 0, 2) . r(8, 0, 4),
         { lost => 1 }, 'eof');

is_found('doubled behind a gap', 'topic/key-1',
         r(5, 0, 1) . text("gap\n") . r(5, 0, 1), { doubled => 1 }, 'eof');

is_found('a gap in one partition', 'topic',
         r(1, 0, 1) . r(1, 1, 1, 'key-2') . text("gap\n") . r(2, 0, 2)
         . r(3, 1, 3, 'key-2') . r(4, 0, 4), { lost => 1, missed => 1 },
         'eof');

# how it ends

is_found('going away', 'topic/key-1', r(5, 0, 1) . end(1001), {}, '1001');
is_found('a reset', 'topic/key-1', r(5, 0, 1), {}, 'reset');
is_found('told', 'topic/key-1', text("no room, try later\n") . end(1013), {},
         'told');
is_found('a masked frame', 'topic/key-1', "\x82\x80mask", { broken => 1 },
         'broken');

my ($figures) = watched('topic/key-1', '', refuse => 1);

is_deeply($figures->{ends}, { refused => 1 }, 'no 101');

done_testing();
