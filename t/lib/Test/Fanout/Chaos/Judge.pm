package Test::Fanout::Chaos::Judge;

# What the sessions of wswatch got, against what produce has a receipt of and
# what the workers have logged.
#
#     my $judge = Test::Fanout::Chaos::Judge->new(error_log => TEXT,
#         killed => {pid => 1}, grace => 10, until => TIME);
#     $judge->produced($topic, $file);
#     $judge->report($file);
#     $judge->findings     hashes: {what, why, ...}
#     $judge->{excused}    {lapse => N, slow => N} records
#
# A record that a session missed is excused if it had a notice between the
# record before and the one after it (wswatch says "missed" only then), and
# either the notices had counts and the sum is right, or its worker has
# logged a gap that covers the partition and offset.  Who is slow (the group
# of that name) may skip the notice of such a gap, too: then it is told once,
# without a count, of the one and of the other.
#
# Sessions that live after "until" must have got the last record.
#
# A session that was ended must have been in a worker that was killed, or was
# told to leave (which it logs), or have been told why.

use strict;
use warnings;

use JSON::PP ();

my $json = JSON::PP->new;

# nobody has to answer for these ends; 1013 and 1008 come with a notice
my %free = map { $_ => 1 } qw(live left connect told);


sub new {
    my ($class, %o) = @_;

    my $self = bless {
        grace => 10, killed => {}, retired => {}, %o,
        findings => [], bare => [], lapsed => {}, excused => {}, ended => {},
        gaps => {},
        topics => {}, sessions => 0,
    }, $class;

    for my $line (split /\n/, delete $self->{error_log} // '') {

        $self->{retired}{$1} = 1
            if $line =~ / (\d+)#\d+: gracefully shutting down$/;

        my ($pid, $topic, $p, $from, $to) = $line =~
            /\ (\d+)\#\d+:\ .*gap\ in\ topic\ "([^"]*)"\ partition\ (\d+):
             \ offsets\ (\d+)\ to\ (\d+)/x or next;

        push @{ $self->{gaps}{"$pid $topic $p"} }, [$from, $to];
        $self->{logged}++;
    }

    return $self;
}


sub findings {
    my ($self) = @_;

    # all reports are read

    for my $bare (splice @{ $self->{bare} }) {
        my ($r, @numbers) = @$bare;

        if ($r->{group} eq 'slow' && $r->{uncounted}
            && $self->{lapsed}{ notice($r) })
        {
            $self->{excused}{slow} += @numbers;
            next;
        }

        $r->{missing} = ranges(@numbers);
        $self->found('missed', 'no line of the log covers them', %$r);
    }

    return @{ $self->{findings} };
}


# the last notice that a session had had
sub notice { join ' ', @{ $_[0] }{qw(group session life gaps)} }


sub found {
    my ($self, $what, $why, %more) = @_;

    push @{ $self->{findings} }, { %more, what => $what, why => $why };
}


# a log of produce; numbers there must be whole, and offsets grow with them
sub produced {
    my ($self, $topic, $file) = @_;

    my $t = $self->{topics}{$topic} ||= { key => {}, partition => {} };
    my %last;

    open my $fh, '<', $file or die "$file: $!\n";

    while (defined(my $line = <$fh>)) {
        chomp $line;

        my ($key, $seq, $ns, $p, $pseq, $offset) = split / /, $line;
        my $place = pack 'q q d', $p, $offset, $ns / 1e9;

        if ($offset <= ($last{$p} // -1)) {
            $self->found('broker', 'offsets do not grow with the numbers',
                         topic => $topic, partition => $p, offset => $offset);
        }

        $last{$p} = $offset;
        $t->{key}{$key}[$seq] = $place;
        $t->{partition}{"partition-$p"}[$pseq] = $place;
        $self->{records}++;
    }

    for my $name (map { my $n = $_; map { [$n, $_] } sort keys %{ $t->{$n} } }
                      qw(key partition))
    {
        my $numbers = $t->{ $name->[0] }{ $name->[1] };
        my $holes = grep { !defined } @$numbers;

        $self->found('producer', "no receipt of $holes records",
                     topic => $topic, of => $name->[1]) if $holes;
    }
}


# [partition, offset, made] of a number of a key or partition
sub place {
    my ($self, $topic, $id, $n) = @_;

    my $kind = $id =~ /^partition-/ ? 'partition' : 'key';
    my $numbers = $self->{topics}{$topic}{$kind}{$id} or return;

    return if $n < 0 || !defined $numbers->[$n];

    return [unpack 'q q d', $numbers->[$n]];
}


sub report {
    my ($self, $file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";

    while (defined(my $line = <$fh>)) {
        my $r = $json->decode($line);

        ($r->{topic}) = $r->{filter} =~ m{^([^/]*)};

        if ($r->{kind} eq 'end') {
            $self->end($r);

        } elsif ($r->{kind} eq 'missed') {
            $self->missed($r);

        } else {
            $self->wrong($r);
        }
    }
}


# the numbers that are missing, as [number, partition, offset, made]
sub numbers {
    my ($self, $r) = @_;

    my $id = $r->{by} eq 'key' ? $r->{key} : "partition-$r->{partition}";

    return map { [$_, @{ $self->place($r->{topic}, $id, $_)
                         || [-1, -1, 0] }] } $r->{from} .. $r->{to} - 1;
}


sub wrong {
    my ($self, $r) = @_;

    my $place = $self->place($r->{topic}, $r->{key}, $r->{seq});

    $r->{offset} = $place->[1] if $place;
    $r->{missing} = ranges($self->numbers($r)) if $r->{kind} eq 'lost';

    $self->found($r->{kind}, 'in a session that was told nothing', %$r);
}


sub missed {
    my ($self, $r) = @_;

    my @bare = $self->unexcused($r, $self->numbers($r)) or return;

    push @{ $self->{bare} }, [$r, @bare];
}


# of numbers that were missed behind a notice
sub unexcused {
    my ($self, $r, @numbers) = @_;

    my @bare;

    for my $n (@numbers) {
        my (undef, $p, $offset) = @$n;

        my $logged = grep { $_->[0] <= $offset && $offset < $_->[1] }
                     @{ $self->{gaps}{"$r->{worker} $r->{topic} $p"} || [] };

        if ($logged && $r->{uncounted}) {
            $self->{excused}{lapse}++;
            $self->{lapsed}{ notice($r) } = 1;

        } elsif ($r->{counted}) {

            # end() looks at the sum

            $self->{excused}{slow}++;

        } else {
            push @bare, $n;
        }
    }

    return @bare;
}


# "partition P: numbers A-B, offsets C-D, made at E", shortened
sub ranges {
    my @parts;

    for my $n (@_) {
        my $last = $parts[-1];

        if ($last && $last->{p} == $n->[1] && $last->{to} + 1 == $n->[0]) {
            @{$last}{qw(to end)} = @$n[0, 2];
            next;
        }

        push @parts, { p => $n->[1], from => $n->[0], to => $n->[0],
                       start => $n->[2], end => $n->[2], made => $n->[3] };
    }

    my $more = @parts > 3 ? ' and ' . (@parts - 3) . ' more' : '';

    splice @parts, 3 if @parts > 3;

    return join('; ', map {
        "partition $_->{p}: numbers $_->{from}-$_->{to}, "
        . "offsets $_->{start}-$_->{end}, "
        . sprintf 'made at %.3f', $_->{made}
    } @parts) . $more;
}


sub end {
    my ($self, $r) = @_;

    my $how = $r->{how};

    $how = $r->{how} = 'left' if $how eq 'live' && $r->{at} < $self->{until};

    $self->{ended}{$how}++;
    $self->{sessions}++ if $r->{opened};

    if (!$free{$how} && !$self->{killed}{ $r->{worker} }
        && !$self->{retired}{ $r->{worker} }
        && ($r->{worker} || $how !~ /^(?:eof|reset)$/))
    {
        $self->found('ended', "$how, and its worker was not told to go",
                     brief($r));
    }

    return if !$r->{opened};

    $self->edges($r);

    if ($r->{uncounted} == 0
        && ($how eq 'live' && $r->{exact} ? $r->{missed} != $r->{counted}
                           : $r->{missed} > $r->{counted}))
    {
        $self->found('count', "missed $r->{missed}, was told $r->{counted}",
                     brief($r));
    }
}


# what a session should have begun and ended with
sub edges {
    my ($self, $r) = @_;

    my %marks = map { $_->[0] => $_ } @{ $r->{marks} };

    for my $id ($self->wanted($r)) {
        my (undef, $first, $last, $gaps) = @{ $marks{$id} || [] };

        # a notice may have counted what nothing was seen of

        $r->{exact} = 0 if !defined $first;

        my $kind = $id =~ /^partition-/ ? 'partition' : 'key';
        my $end = $#{ $self->{topics}{ $r->{topic} }{$kind}{$id} };

        # before the first number: what was made long after it had replied;
        # of what came to nothing, only what it had the time to get

        my $place = $self->place($r->{topic}, $id, ($first // $end + 1) - 1);

        if ($place && !$r->{gaps} && $place->[2] > $r->{opened} + $self->{grace}
            && (defined $first || $r->{how} eq 'live'
                || $place->[2] < $r->{at} - $self->{grace}))
        {
            $self->found('late', "$id was not served in time", brief($r),
                         first => $first, before => $place);
            next;
        }

        next if $r->{how} ne 'live' || ($last // $end) == $end;

        my @bare = map { [$_, @{ $self->place($r->{topic}, $id, $_) }] }
                   $last + 1 .. $end;

        # a notice was the last that it got of them

        $r->{missed} += @bare if $gaps;
        @bare = $self->unexcused($r, @bare) if $gaps;

        $self->found('tail', "$id ends at $last, not at $end", brief($r),
                     missing => ranges(@bare)) if @bare;
    }
}


# keys or partitions that a session should have got something of
sub wanted {
    my ($self, $r) = @_;

    my $t = $self->{topics}{ $r->{topic} } or return;
    my ($key) = $r->{filter} =~ m{/(.*)};

    return keys %{ $t->{partition} } if !defined $key || $key eq '*';

    if ($key =~ s/\*$//) {
        return @{ $self->{prefixes}{ $r->{filter} }
                  ||= [grep { index($_, $key) == 0 } keys %{ $t->{key} }] };
    }

    return $t->{key}{$key} ? $key : ();
}


sub brief {
    my ($r) = @_;

    return map { $_ => $r->{$_} } grep { $_ ne 'marks' } keys %$r;
}


1;
