package Bench::Options;

# The command line of bench/run, checked before anything is installed, built
# or started; what is wrong there is one line, and status 2.

use strict;
use warnings;

use Getopt::Long qw(GetOptionsFromArray);

use Bench::Peers;
use Bench::Shapes;


# what is to be done, with the shapes; ends the program if it makes no sense
sub parse {
    my (@args) = @_;

    my %o;
    my @wrong;

    local $SIG{__WARN__} = sub { push @wrong, lcfirst $_[0] };

    GetOptionsFromArray(\@args, \%o, 'quick', 'all', 'list', 'rounds=i',
                        'peers=s', 'hold=i') or refuse($wrong[0]);

    for my $name (qw(rounds hold)) {
        refuse("--$name: a number above 0, please")
            if defined $o{$name} && $o{$name} < 1;
    }

    return \%o if $o{list};

    $o{shapes} = [eval { Bench::Shapes::wanted(\%o, @args) }];
    refuse($@) if $@;
    refuse('which shapes? See bench/run --list') if !@{ $o{shapes} };

    check_peers(\%o) if defined $o{peers};

    return \%o;
}


sub refuse {
    my ($text) = @_;

    chomp $text;
    print STDERR "bench/run: $text\n";
    exit 2;
}


sub check_peers {
    my ($o) = @_;

    my @names = split /,/, $o->{peers};
    my @shapes = Bench::Shapes::all();

    refuse('--peers: whom?') if !@names;

    for my $name (@names) {
        refuse("no peer \"$name\"")
            if !Bench::Peers::known($name)
               && !grep { my $s = $_; grep { $_ eq $name } @{ $s->{peers} } }
                        @shapes;
    }

    refuse("no such peers in what is to be measured")
        if !grep { peers($o, $_) } @{ $o->{shapes} };
}


# who takes part in a shape: of its peers those that are named, and beside
# them such as an option makes of one
sub peers {
    my ($o, $shape) = @_;

    my @peers = @{ $shape->{peers} };

    return @peers if !defined $o->{peers};

    my @names = split /,/, $o->{peers};
    my %want = map { $_ => 1 } @names;
    my %listed = map { $_ => 1 } @peers;

    @peers = grep { $want{$_} || $want{ s/-.*//r } } @peers;

    push @peers, grep { /-/ && !$listed{$_} && Bench::Peers::known($_) }
                      @names;

    return @peers;
}


# of nchan, nats, python and perf, what will be needed
sub needs {
    my ($o) = parse(@_);

    return '' if $o->{list};

    my %peers = map { $_ => 1 } map { peers($o, $_) } @{ $o->{shapes} };
    my @needs = grep { $peers{$_} } qw(nats nchan python);

    push @needs, 'perf' if @needs && !$o->{quick};

    return join ' ', @needs;
}


1;
