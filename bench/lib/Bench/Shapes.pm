package Bench::Shapes;

# What is measured: a table.  Each shape has a name, a group, a kind (see
# Bench::Kinds), its peers and numbers:
#
#     sessions   subscribers
#     rate       records a second, 0: all are due at once
#     count      records
#     linger     ms that Kafka's producer gathers records (0)
#     size       bytes of a value (100)
#     keys       of records; 1: subscribers want the topic, else each wants
#                the key of its number (1)
#     miss       of so many records one has a key that is wanted (1)
#     partitions (1)
#     workers    of ours (1)
#     rounds     if not 3
#     stall      so many of the subscribers read nothing
#     sndbuf     of the server's sockets
#     pending    of ours: fanout_pending
#     reader     of ours, with two workers: which one reads from Kafka, the
#                subscriber's "own" or the "other"
#     beside     a second subscriber stays with who reads: for "hop", by how
#                much p50 is later than its
#     variants   a peer's option => what is different for it
#     goals      see Bench::Goals
#     quick      what --quick changes; shapes without it are left out there

use strict;
use warnings;

my @all;
my @four = qw(ours floor nchan nats);
my @five = (@four, 'python');
my @key = qw(ours floor raw nchan nats python);

my @paced = (
    [us => 'floor', 1.15], [us => 'nchan', 0.9],
    map { ([p50 => $_, 1], [p99 => $_, 1]) } qw(nchan nats),
);


sub add {
    my ($group, $kind, $name, $title, %o) = @_;

    push @all, {
        group => $group, kind => $kind, name => $name, title => $title,
        size => 100, keys => 1, miss => 1, partitions => 1, workers => 1,
        rate => 0, peers => [qw(ours)], %o,
    };
}


sub comma {
    my ($n) = @_;

    1 while $n =~ s/^(\d+)(\d{3})/$1,$2/;
    return $n;
}


sub paced {
    my ($sessions, $rate, %o) = @_;

    add('paced', 'stream', "paced-${sessions}x$rate",
        comma($sessions) . " subscribers, $rate records/s", peers => \@five,
        goals => \@paced,
        sessions => $sessions, rate => $rate, count => $rate * 3, %o);
}


sub burst {
    my ($sessions, $count, %o) = @_;

    add('burst', 'stream', "burst-${sessions}x$count",
        comma($sessions) . ' subscribers, ' . comma($count)
        . ' records at once', peers => \@five,
        sessions => $sessions, count => $count, %o);
}


# a key's record: that of who only reads, the floor's send and 1 us
my $sum = ['us each above raw + 1.15 x floor', sub {
    my ($f) = @_;

    return $f->('ours', 'us') - $f->('raw', 'us')
           - 1.15 * $f->('floor', 'us');
}, 1];


sub own_key {
    my ($rate, $count, %o) = @_;

    my $n = comma($rate || $count);

    add('key', 'stream', 'key-' . ($rate || 'burst'),
        "1,000 subscribers, a key each, $n records"
        . ($rate ? '/s' : ' at once'), peers => \@key,
        goals => $rate ? [$sum, [p99 => 'raw', 2]]
                       : [[rate => undef, -250000]],
        sessions => 1000, keys => 1000, rate => $rate, count => $count, %o);
}


sub define {
    paced(200, 50, quick => { count => 100 });
    paced(200, 500, peers => \@key);
    paced(1000, 100, peers => \@key,
          quick => { count => 200, peers => \@five });
    paced(1000, 300, peers => \@four);
    paced(5000, 15);

    add('join', 'stream', 'join-1000x300',
        '1,000 subscribers, 300 records/s, fanout_join 10ms for ours',
        peers => [qw(ours ours-join floor nchan)],
        goals => [[us => 'nchan', 0.6, 'ours-join'],
                  [p99 => '+ours', 10, 'ours-join']],
        sessions => 1000, rate => 300, count => 900);

    # the service in Python takes a quarter of a minute for one of these

    burst(200, 5000, peers => \@four);
    burst(1000, 1000, goals => [[rate => undef, -6e6], [us => undef, 0.15]],
          quick => { peers => \@four });
    burst(5000, 200, goals => [[rate => undef, -3e6], [us => undef, 0.3]],
          peers => \@four);

    add('one', 'stream', 'one-500', 'one subscriber, 500 records/s',
        sessions => 1, rate => 500, count => 2500,
        goals => [[p50 => '+raw', 0.1]],
        peers => [qw(ours raw nchan nats python)],
        quick => { count => 1000 });
    add('one', 'flat', 'one-flat',
        'one subscriber, what lies in Kafka as fast as it goes',
        sessions => 1, count => 1000000, peers => [qw(ours raw)],
        goals => [[rate => 'raw', -0.6]],
        quick => { count => 200000 });

    own_key(1000, 3000, quick => { count => 2000 });

    # with a request for each of so many records the broker would be measured

    own_key(5000, 15000, linger => 1);
    own_key(20000, 60000, linger => 1, peers => [grep { $_ ne 'python' } @key],
            goals => [$sum, [p99 => 'raw', 2], [p99 => undef, 10]]);
    own_key(0, 200000, peers => [grep { $_ ne 'python' } @key]);

    for my $workers (1, 2, 4) {
        add('workers', 'stream', "workers-$workers",
            "12 partitions, 1,000 subscribers, 100 records/s, $workers "
            . 'worker' . ($workers > 1 ? 's' : ''),
            peers => [qw(ours floor)], partitions => 12,
            workers => $workers, sessions => 1000, rate => 100,
            count => 300, goals => [[crossed => undef, 1]]);
    }

    hops();

    for (['10000', 1], ['100000', 8]) {
        my ($filters, $workers) = @$_;

        add('selective', 'stream', "selective-$filters",
            comma($filters) . ' filters, a subscriber each; of 20,000 '
            . 'records/s 1 in 1,000 is wanted; ours-few: 1,000 filters',
            sessions => $filters, keys => $filters, miss => 1000,
            rate => 20000, count => 60000, linger => 1, workers => $workers,
            peers => [qw(ours ours-few)],
            variants => { few => { sessions => 1000, keys => 1000 } },
            goals => [[us => 'ours-few', 1.3]],
            rounds => $workers > 1 ? 1 : 3);
    }

    for my $n (10000, 100000) {
        add('idle', 'idle', "idle-$n",
            comma($n) . ' idle subscribers, a key each',
            sessions => $n, keys => $n, rounds => 1,
            goals => $n > 10000 ? [[percent => undef, 2],
                                   [percent => undef, 2, 'ours-detach']]
                                : [[own => undef, 7 * 1024, 'ours-small'],
                                   [own => undef, 1536, 'ours-detach']],
            workers => $n > 10000 ? 8 : 1, hold => $n > 10000 ? 60 : 15,
            peers => $n > 10000 ? [qw(ours ours-detach)]
                                : [qw(ours ours-small ours-detach nchan nats
                                      python)],
            $n > 10000 ? () : (quick => {
                peers => [qw(ours-small ours-detach)], hold => 2,
            }));
    }

    add('storm', 'storm', 'storm-5000',
        '5,000 connect and subscribe as fast as they can',
        sessions => 5000, peers => [qw(ours nchan nats python)],
        goals => [[left => undef, 10]], quick => { peers => ['ours'] });
    add('churn', 'churn', 'churn-1000',
        '1,000 subscribers, 100 records/s, while others come and go',
        sessions => 1000, rate => 100, count => 400,
        peers => [qw(ours ours-churn)]);
    add('slow', 'stream', 'slow-100',
        '1,000 subscribers, 1 KB, 200 records/s, 100 of them read nothing; '
        . 'ours-calm: 900',
        sessions => 1000, stall => 100, size => 1024, rate => 200,
        count => 600, sndbuf => '128k', pending => '256k',
        peers => [qw(ours ours-calm)],
        variants => { calm => { sessions => 900, stall => 0 } },
        goals => [[p99 => 'ours-calm', 1.2]], quick => {});

    for (['100', 100, 300], ['1k', 1024, 300], ['64k', 65000, 20]) {
        my ($name, $size, $rate) = @$_;

        add('size', 'stream', "size-$name",
            "200 subscribers, $rate records/s of " . comma($size) . ' bytes',
            sessions => 200, size => $size, rate => $rate,
            count => $rate * 3, peers => [qw(ours floor nchan)]);
    }

    add('tls', 'stream', 'tls-1000x100',
        '1,000 subscribers, 100 records/s, TLS', tls => 1,
        sessions => 1000, rate => 100, count => 300,
        peers => [qw(ours nchan)]);
    growth();
}


# all records come from another worker through a ring, or none
sub hops {
    my @same = (
        partitions => 12, workers => 2, sessions => 1, reader => 'other',
    );

    add('hop', 'stream', 'hop-200',
        'one subscriber, 12 partitions, 200 records/s by another worker, '
        . 'which has one, too', @same, beside => 1,
        rate => 200, count => 600, peers => [qw(ours)],
        quick => { count => 400 },
        goals => [[hop => undef, 0.04], [crossed => undef, 1]]);
    add('hop', 'flat', 'hop-flat',
        'one subscriber, 12 partitions, what lies in Kafka, read by another '
        . 'worker; ours-own: by its own', @same, count => 600000,
        peers => [qw(ours ours-own)],
        variants => { own => { reader => 'own' } },
        quick => { count => 200000 },
        goals => [['us each for the ring, batched', sub {
            my ($f) = @_;

            return $f->('ours', 'us') - $f->('ours-own', 'us');
        }, 0.6], [crossed => undef, 1]]);
}


sub growth {
    add('growth', 'stream', 'growth-19000x5',
        '19,000 subscribers, 5 records/s; few: 1,000 and 95',
        sessions => 19000, rate => 5, count => 20, workers => 2,
        peers => [qw(ours floor ours-few floor-few)],
        variants => { few => { sessions => 1000, rate => 95, count => 380 } },
        goals => [['us each to floor, times that of few', sub {
            my ($f) = @_;

            return $f->('ours', 'us') / $f->('floor', 'us')
                   / ($f->('ours-few', 'us') / $f->('floor-few', 'us'));
        }, 1.1]]);
    add('growth', 'stream', 'growth-keys',
        '18,000 subscribers, a key each, 3,000 records/s; few: 1,000',
        sessions => 18000, keys => 18000, rate => 3000, count => 18000,
        peers => [qw(ours ours-few)],
        variants => { few => { sessions => 1000, keys => 1000 } },
        goals => [[us => 'ours-few', 1.3]]);
}


# not in the table: see Bench::Main
sub warm_up {
    return {
        kind => 'stream', name => 'warm-up', sessions => 1, rate => 1000,
        count => 6000, size => 100, keys => 1, miss => 1, partitions => 1,
        workers => 1,
    };
}


sub all {
    define() if !@all;
    return @all;
}


# those that the command line names, as --quick wants them
sub wanted {
    my ($o, @names) = @_;

    my %known = map { $_->{name} => 1, $_->{group} => 1 } all();

    for my $name (@names) {
        die "no shape \"$name\"\n" if !$known{$name};
    }

    my %want = map { $_ => 1 } @names;
    my $any = $o->{all} || ($o->{quick} && !@names);

    my @wanted = grep { $any || $want{$_->{name}} || $want{$_->{group}} }
                      all();

    return @wanted if !$o->{quick};

    @wanted = grep { $_->{quick} } @wanted if !@names;

    return map { +{ %$_, %{ $_->{quick} || {} } } } @wanted;
}


1;
